//! Equations, inequalities, and labels in front of `=`.

use super::{Case, check_tables};

const EQUATIONS: &[Case] = &[
    (
        "x=5",
        &["5", "x = 5", "x=5.0", "5=x", "x=2+3"],
        &["y=5", "x=6", "2x=10", "x-5=0", "x", "5,6", "x>5", "x^2=25"],
    ),
    (
        "5",
        &[
            "x=5",
            "5 = x",
            "n = 5",
            r"AB=5",
            r"f(2)=5",
            r"2+3=5",
            r"x=\frac{10}{2}=5",
            r"\angle A = 5",
            r"\text{Area} = 5",
            "a_1=5",
            "m+n=5",
            "xy=5",
            r"\frac{a}{b}=5",
            "m+n=2+3=5",
            "|AB|=5",
            r"\cos x=5",
        ],
        &[
            "x=6", "2x=10", "x^2-25=0", "x+1=5", "x=5=6", "5=6", "x=4=5", "x^2=5", "x<5",
            "x \\le 5", "m+n=6", "m=2, n=3", "x+x=5", "m+n=4+2",
        ],
    ),
    (
        "y=2x+3",
        &["2x+3", "y = 3+2x", "2x+3=y", "2x-y+3=0", "y-2x=3"],
        &["y=2x", "y=3x+2", "x=2y+3", "2x+3=0", "y=-2x-3", "y>2x+3"],
    ),
    (
        "2x - y + 3z + 8 = 0",
        &["-2x+y-3z-8=0", "4x-2y+6z+16=0", "2x-y+3z=-8", "y=2x+3z+8"],
        &["2x-y+3z-8=0", "2x-y+3z+8", "x-y+3z+8=0", "0=0"],
    ),
    (r"k=\frac{-33}{2}", &[r"-\frac{33}{2}", "k=-16.5", "-16.5"], &["16.5", "m=-16.5"]),
    (
        r"\tan \theta = 2\theta",
        &[r"2\theta=\tan\theta"],
        &[r"\tan\theta", r"2\theta", r"\tan\theta=\theta"],
    ),
    (
        "AB=12+12\\sqrt{3}",
        &[r"12+12\sqrt3", r"12(1+\sqrt{3})", r"AB=12\sqrt3+12"],
        &["12", r"BC=12+12\sqrt3"],
    ),
    (r"0.56 = 56\%", &[r"56\%", "0.56", r"\frac{14}{25}"], &["5.6", "0.57"]),
    (
        r"\$\dfrac23 \approx \$0.67",
        &["0.67", "2/3", r"\frac23", r"\$0.67"],
        &["0.6", "0.66", "0.7"],
    ),
    (
        r"\frac23",
        &[r"\frac23\approx0.67", r"x=\frac23\approx 0.667"],
        &[r"\frac23\approx0.7777", r"0.67\approx\frac34", "0.67"],
    ),
];

/// Equations that give a value to a name, or to a size; and those that have still to be solved.
const UNSOLVED: &[Case] = &[
    (
        "5",
        &[
            "x=5",
            "|AB|=5",
            "|z|=5",
            "|z_1-z_2|=5",
            r"|\vec a+\vec b|=5",
            "|x_1-x_2|=5",
            r"\|\mathbf v\|=5",
            r"\log_a b=5",
            "[ABC]=5",
            r"\sin\theta=5",
        ],
        &[
            r"\ln x=5",
            r"\log_2 x=5",
            r"\lg x=5",
            r"\ln A=5",
            "|x|=5",
            r"|\alpha|=5",
            "|f(x)|=5",
            "|x|+|y|=5",
            r"\lfloor x\rfloor=5",
            r"\lceil x\rceil=5",
            r"5=\lceil x\rceil",
            "[x]=5",
            r"\binom{n}{2}=5",
            r"\binom{n}{k}=5",
            "n!=5",
            "n!!=5",
        ],
    ),
    (r"\ln x=5", &[r"5=\ln x"], &["5", "x=5"]),
    ("|x|=5", &["5=|x|"], &["5", "x=5"]),
    ("|AB|=5", &["5", "AB=5"], &["|AC|=5"]),
];

const INEQUALITIES: &[Case] = &[
    (
        "x>3",
        &["3<x", "x > 3", r"(3,\infty)", r"x\in(3,\infty)", r"x\gt 3"],
        &[r"x\ge3", "x<3", "2x>6", "x-3>0", "3", r"[3,\infty)", "y>3", "x>4", "-x<-3"],
    ),
    (
        r"-80\leq g(x)\leq 82",
        &["[-80,82]", r"82\ge g(x)\ge-80", r"-80 \le g(x) \le 82"],
        &["(-80,82)", r"-80<g(x)<82", "-80, 82", "82"],
    ),
    (
        r"2\le x<5",
        &["[2,5)", r"5>x\ge2", r"x\in[2,5)"],
        &["[2,5]", "(2,5)", "2,5", r"2<x\le5", r"4\le2x<10"],
    ),
    (
        r"x<1\text{ or }x>3",
        &[r"(-\infty,1)\cup(3,\infty)", "x>3, x<1"],
        &[r"(1,3)", "x<1", r"x\le1\text{ or }x>3", r"x^2-4x+3>0"],
    ),
    (
        r"s^2\le8r^2",
        &[r"8r^2\ge s^2", r"s^2-8r^2\le0", r"\frac{s^2}{8}\le r^2"],
        &[r"s^2\ge8r^2", r"s^2<8r^2", r"s\le8r", r"s^2=8r^2"],
    ),
    (r"(3,\infty)", &[r"x\in(3,\infty)", r"(3,+\infty)"], &["x>3", "2x>6", "3<x", "x-3>0"]),
    (r"x\in[-2,7]", &["[-2,7]", r"x \in [-2, 7]"], &["(-2,7)", r"y\in[-2,7]", r"-2\le x\le 7"]),
    (r"x\ne2", &[r"x\neq 2", r"2\ne x", r"(-\infty,2)\cup(2,\infty)"], &["x=2", "2", "x>2"]),
];

const NOT_EQUAL: &[Case] = &[
    (
        r"x\ge -1,\ x\neq 4",
        &[
            r"x\neq 4, x\geq -1",
            r"[-1,4)\cup(4,\infty)",
            r"x\ge-1\text{ and }x\ne4",
            r"x\in[-1,4)\cup(4,\infty)",
        ],
        &[r"x\ge -1,\ x\neq 2", r"x\ge-1", r"x\neq4", r"x\ge-2, x\ne4", r"[-1,\infty)"],
    ),
    (
        r"t\neq \pm 3",
        &[r"t\ne 3, t\ne -3", r"t\neq\pm3", r"(-\infty,-3)\cup(-3,3)\cup(3,\infty)"],
        &[r"t\neq\pm 8", r"t\ne3", r"t\ne\pm3, t\ne0", r"t=\pm3"],
    ),
    (r"x\neq 1, x\neq 2", &[r"x\ne2, x\ne1"], &[r"x\ne1, x\ne3", r"x\ne1", r"x\neq 2"]),
    (r"x\ne 0", &[r"0\ne x", r"x\neq0"], &[r"x\ne 1", r"y\ne0", "x=0", "0"]),
    (
        r"x\in\mathbb{R}, x\neq 5",
        &[r"x\ne5", r"(-\infty,5)\cup(5,\infty)"],
        &[r"x\ne4", r"x\in\mathbb{R}"],
    ),
    (
        "x>1, x<4",
        &["1<x<4", "(1,4)", "x<4, x>1", r"x\in(1,4)"],
        &["x>0, x<9", "x>1", "1<x<5", r"x\ge1, x<4"],
    ),
    (r"x<1\text{ or }x>3", &["x>3, x<1"], &["x<1 or x>4", "x<1"]),
    (r"a\neq b", &[r"b\ne a"], &[r"a\ne c", "a=b"]),
    (r"x\neq k\pi", &[r"x\neq k\pi"], &[r"x\neq 2k\pi"]),
    ("m>2, n>3", &["n>3, m>2"], &["m>3, n>2", "m>2"]),
];

const LABELS: &[Case] = &[
    (
        "3e^{-t}",
        &["y(t)=3e^{-t}", "x(t)=3e^{-t}", "f(t)=3e^{-t}", "y=3e^{-t}"],
        &["y(t)=3e^{t}", "y(t)", "y(t)=3e^{-t}+C", "y(t)=2e^{-t}"],
    ),
    (
        "n^2+n",
        &["T(n)=n^2+n", "S_n=n^2+n", "a_n=n(n+1)", "S(n)=n(n+1)"],
        &["T(n)=n^2-n", "T(n)=n^2", "T(n^2+n)"],
    ),
    (
        "40",
        &[
            "N(5)=40",
            "f(5)=40",
            "40=N(5)",
            "V(10)=40",
            "P(3) = 40",
            "f'(2)=40",
            "f(-1)=40",
            "a_{10}=40",
            "S_{10}=40",
            r"y(\frac{\pi}{2})=40",
            r"\text{Var}(X)=40",
            r"\operatorname{Var}(X)=40",
            "E(X)=40",
            "E[X]=40",
            r"\mathbb{E}[X]=40",
        ],
        &["N(5)=41", "N(40)", "x(x+3)=40", "n(n+3)=40", "(x-5)(x+3)=40", "2x(x+1)=40", "N(5)=5=40"],
    ),
    (
        r"x(t)=2\cos t",
        &[r"2\cos t", r"x(t)=2\cos t", r"x=2\cos t", r"2\cos(t)"],
        &[r"x(t)=\cos t", r"\cos t", "2"],
    ),
    (
        "x^2+1",
        &[
            r"(f\circ g)(x)=x^2+1",
            "f(g(x))=x^2+1",
            r"f\circ g(x)=x^2+1",
            "(f+g)(x)=x^2+1",
            "(fg)(x)=1+x^2",
            r"\left(\frac{f}{g}\right)(x)=x^2+1",
            "f^{-1}(x)=x^2+1",
            "h(x)=x^2+1",
        ],
        &[r"(f\circ g)(x)=x^2-1", r"(f\circ g)(x)", "f(g(x))=x^2"],
    ),
    (
        "7",
        &[
            "f(g(2))=7",
            r"(f\circ g)(2)=7",
            "f(f(1))=7",
            r"(g\circ f\circ g)(1) = 7",
            "f^{-1}(3)=7",
            r"h\left(\frac12\right)=7",
            "f(2,3)=7",
        ],
        &["f(g(2))=8", "f(g(7))", "f(x)+2=7", "f(2)=7=8"],
    ),
    (
        r"\frac{4}{x}",
        &[r"\phi(x)=\frac{4}{x}", r"\varphi(x)=4x^{-1}", r"\psi(x)=\frac4x"],
        &[r"\phi(x)=\frac{x}{4}", r"\phi(x)"],
    ),
    ("N(5)=40", &["40", "N(5)=40"], &["N(6)=40", "N(5)=41", "5", "N(5)"]),
    ("f(x)=2x", &["2x", "y=2x", "f(x)=2x"], &["f(x)=x", "f(2)=2x", "x"]),
    ("P(x)=x^2-1", &["x^2-1", "(x-1)(x+1)", "P(x)=(x+1)(x-1)"], &["P(x)=x^2+1", "0"]),
];

const MORE_LABELS: &[Case] = &[
    (
        r"\frac18",
        &[
            r"P(X=3)=\frac18",
            "P(X = 3) = 0.125",
            r"P(A|B)=\frac18",
            r"P(A\mid B)=\frac{1}{8}",
            r"P(A\cap B)=\frac18",
            r"P(A \cup B)=\frac18",
            r"P(\text{both red})=\frac18",
            r"\Pr(X>2)=\frac18",
            r"\mathbb{P}(X\le 1)=\frac18",
            r"P=\frac18",
        ],
        &[r"P(X=3)=\frac14", r"P(X=\frac18)", r"P(X=\frac18)=3", r"P(A|B)=\frac17", "P(X=3)"],
    ),
    (
        r"\cos B=\frac45",
        &[r"\frac45", "0.8", r"\cos B=0.8"],
        &[r"\cos A=\frac45", r"\frac35", r"\cos B=\frac35", r"\cos B", r"B=\frac45"],
    ),
    (
        "|CD|=6",
        &["6", "|CD|=6", "CD=6", r"\left|CD\right|=6"],
        &["7", "|CD|=7", "|AB|=6", "AB=6", "-6"],
    ),
    (
        "6",
        &[
            "|CD|=6",
            r"\left|\vec{a}\right|=6",
            r"\|v\|=6",
            r"|A\cup B|=6",
            r"|A \cap B| = 6",
            "|z|=6",
            r"S_{\triangle ABC}=6",
            "[ABC]=6",
            r"\angle ABC=6",
            r"\sin\angle ABC=6",
            r"\max f=6",
            r"\gcd(12,18)=6",
            r"\text{lcm}(2,3)=6",
            r"\lim_{x\to 0} f(x)=6",
            r"\sum_{k=1}^{3} k=6",
            r"\int_0^6 1\,dx=6",
            r"f_{\max}=6",
            r"\text{Area of }\triangle ABC=6",
            r"\overrightarrow{AB}\cdot\overrightarrow{AC}=6",
        ],
        &[
            "|CD|=5",
            "|CD|>6",
            r"\text{not }x=6",
            r"\lim_{x\to 6} f(x)=3",
            r"\sum_{k=1}^{6} k=21",
            "|x-1|=6",
        ],
    ),
    ("V_1:V_2=3:5", &["3:5", r"\frac35", "V_1:V_2=3:5"], &["5:3", "V_1:V_2=5:3", "3", "3:4"]),
    (
        "3:5",
        &["V_1:V_2=3:5", "AB:BC=3:5", "a:b=3:5", "S_1:S_2 = 3:5"],
        &["V_1:V_2=5:3", "a:b=3:4", "3,5"],
    ),
    (
        r"\frac{AB}{BC}=\frac23",
        &[r"\frac23", r"\frac{AB}{BC}=\frac46"],
        &[r"\frac32", r"\frac{BC}{AB}=\frac23"],
    ),
    ("x+y=5", &["y=5-x", "x+y=5", "2x+2y=10"], &["5", "x+y", "x-y=5"]),
    ("xy=12", &["xy=12", "yx=12"], &["12", "xy=6", "x=12"]),
];

const JOINT_VALUES: &[Case] = &[
    (
        "a=b=c=1",
        &["a=1,b=1,c=1", "c=b=a=1", "a=b=c=\\frac22"],
        &["a=b=1", "a=b=c=2", "a=1,b=1,c=2", "1"],
    ),
    ("a=1, b=1, c=1", &["a=b=c=1"], &["a=b=1", "a=b=d=1"]),
    ("(1,1,1)", &["a=b=c=1"], &["a=b=1", "a=b=c=2"]),
    (r"\{2\}", &[r"x=2"], &["x=y=2"]),
    ("x=y=2", &["y=x=2", r"x=2\text{ and }y=2"], &["x=2", "x=z=2"]),
];

const RENAMED_ARGUMENTS: &[Case] = &[
    (
        "f(x)=x^2+1",
        &["f(n)=n^2+1", "f(t)=1+t^2"],
        &["f(n)=x^2+1", "f(n)=n^2", "g(n)=n^2+1", "f(2)=5"],
    ),
    ("f(x)=ax", &["f(t)=at"], &["f(a)=a^2", "f(a)=ax", "f(t)=bt"]),
    ("f(x,y)=x+2y", &["f(a,b)=a+2b"], &["f(a,b)=b+2a", "f(y,x)=x+2y", "f(a,a)=a+2a"]),
    ("P(A)=p", &["P(A)=p"], &["P(B)=p"]),
];

const BOUNDS_IN_WORDS: &[Case] = &[
    (
        r"x\le 5",
        &[r"\text{at most }5", r"\le 5", "no more than 5", r"5\ge x"],
        &["5", r"\text{at least }5", r"\text{less than }5", "<5", r"\le 6", r"y\le 5"],
    ),
    (r"\text{at most }5", &[r"\le 5", r"x\le 5", r"\text{at most }5"], &["5", "<5", r"\ge 5"]),
    (
        r"\ge 5",
        &[r"\text{at least }5", r"\text{no less than }5"],
        &["5", ">5", r"\text{more than }5"],
    ),
    (r"3\le x\le 7", &[r"\text{at least }3\text{ and at most }7"], &[r"\text{at least }3"]),
    (r"x>1 \text{ and } y<3", &["y<3, x>1"], &[">1, <3"]),
    ("5", &["5"], &[">5", r"\le 5", r"\text{at most }5", r"\text{at least }5"]),
    (r"(-\infty,5]", &[r"(-\infty,5]"], &[r"\le 5", r"\text{at most }5"]),
];

#[test]
fn equations_are_judged_as_the_tables_say() {
    check_tables(&[
        ("bounds in words, and without a name", BOUNDS_IN_WORDS),
        ("arguments with another name", RENAMED_ARGUMENTS),
        ("one value for several names", JOINT_VALUES),
        ("equations", EQUATIONS),
        ("equations that are not solved", UNSOLVED),
        ("inequalities", INEQUALITIES),
        ("not equal", NOT_EQUAL),
        ("labels of functions", LABELS),
        ("labels with signs in them", MORE_LABELS),
    ]);
}

//! Expressions: roots, powers, functions, variables, operations and derivatives.

use super::{Case, check_tables};

const ROOTS_AND_POWERS: &[Case] = &[
    (
        r"2\sqrt{3}",
        &[
            r"\sqrt{12}",
            r"2 \sqrt 3",
            r"\sqrt3 \cdot 2",
            r"2\cdot3^{1/2}",
            "2√3",
            r"\frac{6}{\sqrt{3}}",
            "2sqrt(3)",
            r"\sqrt{3}+\sqrt{3}",
        ],
        &[r"\sqrt{6}", r"3\sqrt{2}", "3.46", r"-2\sqrt3", r"\sqrt{2}\cdot 3"],
    ),
    (
        r"\frac{\sqrt{2}}{2}",
        &[
            r"\frac{1}{\sqrt{2}}",
            r"\sqrt{\frac12}",
            r"\sqrt{0.5}",
            r"2^{-1/2}",
            r"\sin 45^\circ",
            r"\cos\frac{\pi}{4}",
        ],
        &[r"\frac{\sqrt2}{3}", "0.707", r"\sqrt{2}"],
    ),
    (
        r"\sqrt[3]{2}",
        &[r"2^{1/3}", r"2^{\frac13}", r"\sqrt[6]{4}"],
        &[r"\sqrt{2}", r"3\sqrt{2}", r"\sqrt[4]{2}"],
    ),
    (
        r"1+\sqrt{2}",
        &[r"\sqrt{2}+1", r"\frac{1}{\sqrt{2}-1}", r"(1+\sqrt2)"],
        &[r"1-\sqrt2", r"\sqrt{3}", r"\sqrt{2}"],
    ),
    (r"\sqrt{5+2\sqrt{6}}", &[r"\sqrt2+\sqrt3"], &[r"\sqrt{2}+\sqrt{5}"]),
    (r"2^{4950}", &[r"4^{2475}", r"2^{4949}\cdot2"], &["2^{4951}", r"2^{4950}+1", r"2^{4950}-1"]),
    (r"2^{2008}-2", &[r"-2+2^{2008}", r"2(2^{2007}-1)"], &[r"2^{2008}", r"2^{2008}-1"]),
    (r"-2", &[r"\sqrt[3]{-8}", r"-\sqrt{4}", r"-2^1"], &[r"\sqrt{4}", r"(-2)^2"]),
    ("-4", &["-2^2", "-(2^2)"], &["(-2)^2", "2^2"]),
    (r"\sqrt{10^{20}+1}-10^{10}", &[r"-10^{10}+\sqrt{1+10^{20}}"], &["0", "1"]),
    (r"8^{2/3}", &["4", r"\sqrt[3]{64}"], &["8", "16/3"]),
    (r"12^{1/7}", &[r"\sqrt[7]{12}"], &["12/7"]),
    ("x^{10}", &["x^10", "x^5x^5", r"(x^2)^5"], &["x^1 0", "10x", "x^9"]),
];

const FUNCTIONS: &[Case] = &[
    (
        r"\sin x",
        &[r"\sin(x)", r"\sin{x}", "sin x", "sin(x)", r"\cos(\frac{\pi}{2}-x)"],
        &[r"\cos x", "x", r"\sin y", r"\sin 2x"],
    ),
    (
        r"\sin^2 t",
        &[r"(\sin t)^2", r"1-\cos^2 t", r"\sin t\sin t", r"\frac{1-\cos 2t}{2}"],
        &[r"\sin t^2", r"\cos^2 t", r"\sin t"],
    ),
    (
        r"2\sin 5x\cos x",
        &[r"\sin 6x + \sin 4x", r"2\cos(x)\sin(5x)"],
        &[r"2\sin 6x", r"\sin 5x\cos x"],
    ),
    (r"\cot x", &[r"\frac{\cos x}{\sin x}", r"\frac{1}{\tan x}"], &[r"\tan x"]),
    (r"2\sec x", &[r"\frac{2}{\cos x}"], &[r"2\csc x", r"\sec x"]),
    (r"\tan 15^\circ", &[r"2-\sqrt3", r"\tan\frac{\pi}{12}"], &[r"\tan 15", r"2+\sqrt3"]),
    (r"\log_2 8", &["3", r"\frac{\ln 8}{\ln 2}"], &["4", r"\log_8 2"]),
    (r"\ln 2", &[r"\frac12\ln 4", r"-\ln\frac12", r"\log_e 2"], &[r"\log 2", "2", "0.69"]),
    (
        r"\log\left(\frac{2007}{2006}\right)",
        &[r"\log 2007-\log 2006", r"\log\frac{2007}{2006}"],
        &[r"\log 2007", r"\ln\frac{2007}{2006}"],
    ),
    (r"\arctan 1", &[r"\frac{\pi}{4}", r"\tan^{-1}(1)", r"45^\circ"], &["1", r"\frac{\pi}{3}"]),
    (
        "120",
        &[
            "5!",
            r"\binom{10}{3}",
            r"\dbinom{10}{7}",
            r"{10 \choose 3}",
            r"\frac{6!}{3!}",
            "5 \\cdot 4!",
        ],
        &["6!", r"\binom{10}{4}", "5"],
    ),
    (
        r"\binom{n}{2}",
        &[r"\frac{n(n-1)}{2}", r"{n\choose 2}"],
        &[r"\frac{n(n+1)}{2}", r"\binom{n}{3}", r"\frac{n}{2}"],
    ),
    ("n!", &[r"n\cdot(n-1)!", "(n)!"], &["n", "(n-1)!", "(n+1)!"]),
    ("|x|", &[r"\left|x\right|", r"\lvert x\rvert", r"\sqrt{x^2}"], &["x", "-x"]),
    (
        "5",
        &["|-5|", r"\lfloor 5.9\rfloor", r"\lceil 4.1\rceil", r"\left|3-8\right|"],
        &["|-6|", r"\lfloor 4.9 \rfloor"],
    ),
];

const VARIABLES: &[Case] = &[
    (
        "x^2+2x+1",
        &[
            "(x+1)^2",
            "1+2x+x^2",
            "x^2 + 2x + 1",
            r"x(x+2)+1",
            "x²+2x+1",
            "(1+x)(x+1)",
            r"f(x)=x^2+2x+1",
            "y=(x+1)^2",
        ],
        &["x^2+2x", "(x-1)^2", "y^2+2y+1", "x^2+2x+1=0", "4", "x"],
    ),
    ("p - q", &["-q+p", "p-q", "-(q-p)"], &["q-p", "p+q", "p"]),
    (
        r"\frac{x+5}{6}",
        &[r"\frac{x}{6}+\frac56", "(x+5)/6", r"\frac16(x+5)"],
        &["x+5/6", r"\frac{x+6}{5}"],
    ),
    (
        r"\frac{1}{x-1}",
        &[r"(x-1)^{-1}", r"-\frac{1}{1-x}", r"\frac{x+1}{x^2-1}"],
        &["x-1", r"\frac{1}{x+1}", r"\frac{1}{1-x}"],
    ),
    ("xy", &["yx", r"x\cdot y", "x y", "x*y"], &["x+y", "x", "xz", "XY"]),
    (
        r"10x\sqrt{21x}",
        &[r"\sqrt{2100x^3}", r"10\sqrt{21}x^{3/2}"],
        &[r"10\sqrt{21x}", r"10x\sqrt{21}"],
    ),
    ("a_1+a_2", &["a_2+a_1", "a_{1}+a_{2}"], &["a_1+a_3", "2a"]),
    (r"\alpha+\beta", &["β+α", r"\beta + \alpha"], &[r"\alpha", "a+b"]),
    ("3^x-2^x", &["-2^x+3^x"], &["1^x", "x"]),
    ("(-1)^n", &[r"(-1)^{n+2}"], &["(-1)^{n+1}", "1"]),
    (r"\sqrt{a^2+b^2}", &[r"(b^2+a^2)^{1/2}"], &["a+b", r"a^2+b^2"]),
    ("2k", &["k+k", "k2"], &["2K", "k", "2"]),
    ("f(4-x)", &["f(-x+4)"], &["f(x)", "f(x-4)"]),
    ("A", &["A", r"\text{A}"], &["B", "a", "AA"]),
];

const APPLICATIONS: &[Case] = &[
    ("g(0)", &["g(0)", r"1\cdot g(0)"], &["0", "g(1)", "g", "h(0)", "-g(0)", "2g(0)"]),
    (
        "T(0)e^{-kt}",
        &["e^{-kt}T(0)", r"\frac{T(0)}{e^{kt}}"],
        &["2T(0)e^{5kt}", "0", "T(0)", "T(0)e^{kt}", "e^{-kt}", "T(1)e^{-kt}"],
    ),
    ("2f(x)", &["f(x)+f(x)", r"f(x)\cdot2"], &["f(2x)", "f(x)", "2f", "2f(y)"]),
    ("f(x)+f(y)", &["f(y)+f(x)"], &["f(x+y)", "f(x)", "f(xy)"]),
    ("f(4-x)", &["f(-x+4)"], &["f(x)", "f(x-4)", "4f-xf"]),
    ("f'(0)", &["f'(0)"], &["f(0)", "0", "f'(1)", "f''(0)"]),
    ("y(0)+3t", &["3t+y(0)"], &["3t", "y(1)+3t"]),
    ("x(x+1)", &["x^2+x", "(x+1)x"], &["x(x)+2", "x(1)+x"]),
    (r"2\pi r(r+h)", &[r"2\pi r^2+2\pi rh"], &[r"2\pi r(r-h)", r"2\pi r+h"]),
    (r"\pi h(R^2+r^2)", &[r"\pi R^2h+\pi r^2h"], &[r"\pi h(R^2-r^2)", r"\pi h"]),
    ("P(1+r)^n", &["(1+r)^nP"], &["P(1+r)", "P+r^n"]),
    ("p(1-p)", &["p-p^2"], &["1-p", "p(1-q)"]),
    ("N(3)", &["N(3)"], &["3N", "N", "3", "N(4)"]),
];

const CONSTANT_FUNCTIONS: &[Case] = &[
    ("W(n)=1", &["W(x)=1", "W(n)=1", "1"], &["W(x)=2", "V(n)=1", "W(2)=1"]),
    (
        r"W(n) = 1 \text{ and } W(n) = -1",
        &["W(x)=1, W(x)=-1", r"W(x)=-1 \text{ or } W(x)=1"],
        &["W(x)=1", "W(x)=1, W(x)=1"],
    ),
    ("W(2)=1", &["W(2)=1"], &["W(x)=1", "W(3)=1"]),
];

const FLOORS: &[Case] = &[
    (
        r"\left\lfloor \frac{m}{4} \right\rfloor",
        &[r"\lfloor m/4\rfloor", r"\lfloor 0.25m\rfloor", r"\left\lfloor\frac{2m}{8}\right\rfloor"],
        &[
            r"\left\lfloor \frac{m}{7} \right\rfloor",
            r"\lceil m/4\rceil",
            r"\frac m4",
            "0",
            r"\lfloor m/4\rfloor+1",
        ],
    ),
    (
        r"\lfloor\log_3 m\rfloor+2",
        &[r"2+\lfloor\log_3 m\rfloor", r"\left\lfloor\frac{\ln m}{\ln 3}\right\rfloor+2"],
        &[r"\lfloor\log_{10} m\rfloor+2", r"\lfloor\log_3 m\rfloor", "2"],
    ),
    (
        r"\lceil x\rceil",
        &[r"-\lfloor -x\rfloor"],
        &[r"\lfloor x\rfloor", r"\lfloor x\rfloor+1", "x"],
    ),
    (
        r"\lfloor\frac{n}{2}\rfloor",
        &[r"\lceil\frac{n-1}{2}\rceil"],
        &[
            r"\lceil\frac n2\rceil",
            r"\frac n2",
            r"\lfloor\frac{n}{3}\rfloor",
            r"\lfloor\frac{n+1}{2}\rfloor",
        ],
    ),
    (
        r"\lfloor\sqrt{n}\rfloor",
        &[r"\lfloor n^{1/2}\rfloor"],
        &[r"\lfloor\sqrt[3]{n}\rfloor", r"\lfloor\sqrt{n+1}\rfloor", "1"],
    ),
    (
        r"\left\lfloor\frac{n}{1000}\right\rfloor",
        &[],
        &[r"\left\lfloor\frac{n}{1001}\right\rfloor", "0"],
    ),
    (r"x-\lfloor x\rfloor", &[r"-\lfloor x\rfloor+x"], &["0", "x", r"\lceil x\rceil-x"]),
];

const SELECTIONS: &[Case] = &[
    (
        "28",
        &[
            "C(8,2)",
            r"\binom{8}{2}",
            "^8C_2",
            "_8C_2",
            "{}_8C_2",
            "{}^8C_2",
            "^{8}C_{2}",
            "{}_{8}C_{2}",
            "C_8^2",
            "C^2_8",
            "C_{8}^{2}",
            r"\mathrm{C}_8^2",
            "8C2",
            "C(8,2)=28",
            r"\binom82",
            r"{8\choose 2}",
            "8 choose 2",
            r"8 \text{ choose } 2",
            "C(8, 6)",
        ],
        &[
            "C(8,3)",
            "C(2,8)",
            r"\binom{2}{8}",
            "8C3",
            "^8C_3",
            "C_8^3",
            "P(8,2)",
            "_8P_2",
            "82",
            "C(28)",
            "(8,2)",
        ],
    ),
    ("56", &["P(8,2)", "_8P_2", "^8P_2", "A_8^2", "8P2"], &["C(8,2)", "P(8,3)", "A_8^3"]),
    (r"\binom{n}{2}", &["C(n,2)", r"\frac{n(n-1)}{2}"], &["C(n,3)", "C(2,n)"]),
    ("120", &["5!", "C(10,3)"], &["5", "C(10,4)"]),
    ("C_1e^x+C_2", &["C_2+C_1e^x"], &["C_1e^x", "C_1e^x+C_1"]),
];

const OPERATIONS: &[Case] = &[
    (r"\vec a\cdot\vec b", &[r"\vec b\cdot\vec a"], &[r"\vec a\times\vec b", "ab"]),
    (
        r"\vec a\times\vec b",
        &[r"\overrightarrow a\times\overrightarrow b"],
        &[r"\vec b\times\vec a", r"\vec a\cdot\vec b"],
    ),
    (
        r"\mathbf{a}\times\mathbf{b}",
        &[r"\vec a\times\vec b"],
        &[r"\mathbf{b}\times\mathbf{a}", r"\mathbf{a}\cdot\mathbf{b}"],
    ),
    (r"f\circ g", &[r"f \circ g"], &[r"g\circ f", "fg"]),
    (r"a\star b", &[r"a \star b"], &[r"b\star a", "ab"]),
    (r"\Re z", &[r"\Re(z)"], &[r"\Im z", "z"]),
    (
        r"\nabla\cdot F",
        &[r"\nabla \cdot F"],
        &[r"\nabla\times F", r"\nabla F", r"\nabla\cdot G", r"\nabla\cdot F=0"],
    ),
    (r"\nabla\times F", &[r"∇×F"], &[r"\nabla\cdot F", r"\nabla F"]),
    (r"\nabla F", &[r"\nabla F"], &[r"\nabla\cdot F", r"\nabla\times F"]),
    (
        r"\nabla\cdot\mathbf{F}",
        &[r"\nabla\cdot\mathbf F"],
        &[r"\nabla\times\mathbf{F}", r"\nabla\mathbf{F}"],
    ),
    (r"\nabla\times\vec{F}", &[r"\nabla\times\vec F"], &[r"\nabla\cdot\vec{F}"]),
    (r"\nabla\cdot F=0", &[r"\nabla\cdot F=0"], &[r"\nabla\times F=0"]),
    (r"\nabla^2 f", &[r"\nabla^2f"], &[r"\nabla f"]),
    (r"a\cdot b", &["ab", r"a\times b"], &["a+b"]),
    (
        "f'(x)",
        &[r"f^{\prime}(x)", r"f^\prime(x)", "f′(x)", "f^{'}(x)"],
        &["f(x)", "f''(x)", r"f^{\prime\prime}(x)"],
    ),
    (r"x^{\prime}", &["x'", r"x^\prime"], &["x", "x''"]),
    ("f''", &[r"f^{\prime\prime}", r"f^{\prime \prime}"], &["f'", r"f^{\prime}"]),
    (r"A\cap B", &[r"B\cap A"], &[r"A\cup B", "AB"]),
    (r"A\cup B", &[r"B\cup A"], &[r"A\cap B", r"A\cup C"]),
    ("n", &["n", r"n\text{ steps}"], &[r"n\text{ even}"]),
    ("x(t)", &["x(t)"], &["t(x)", "xt"]),
    ("n!!", &["n!!"], &["n!", "(n!)!"]),
    ("720", &["6!", "(3!)!"], &["6!!", "3!!"]),
    (r"\sinh^{-1}x", &[r"\sinh^{-1}(x)"], &[r"\frac{1}{\sinh x}", r"\sinh x"]),
    ("P(A)=0.5", &["0.5", r"P(A)=\frac12"], &["P(B)=0.5"]),
    ("7", &[r"7\bmod 9"], &[r"7\bmod 4"]),
    ("x", &["x"], &[r"x\bmod 3", r"x\text{-axis}"]),
    (r"x\text{-axis}", &[r"x\text{-axis}"], &["x", r"y\text{-axis}"]),
];

const DERIVATIVES: &[Case] = &[
    (
        r"\frac{dy}{dx}",
        &[
            "dy/dx",
            r"\dfrac{dy}{dx}",
            r"\frac{\mathrm{d}y}{\mathrm{d}x}",
            r"\frac{\mathrm dy}{\mathrm dx}",
        ],
        &[
            r"\frac{1\cdot y}{x}",
            r"\frac{y}{x}",
            "y/x",
            r"\frac{dx}{dy}",
            r"\frac{dy}{dt}",
            r"\frac{d}{dx}",
        ],
    ),
    (r"\frac{dx}{dt}", &["dx/dt"], &[r"\frac{x}{t}", "x/t"]),
    (r"\frac{y}{x}", &["y/x"], &[r"\frac{dy}{dx}", "dy/dx"]),
    (
        r"2x\frac{dx}{dt}",
        &[r"2\frac{dx}{dt}x", r"\frac{2x\,dx}{dt}", r"\frac{2xdx}{dt}"],
        &[r"\frac{2x^2}{t}"],
    ),
    (
        r"\frac{1}{x}\frac{dx}{dt}",
        &[r"\frac{dx}{x\,dt}", r"\frac{dx}{xdt}"],
        &[r"\frac{dx}{dt}", r"\frac1t"],
    ),
    (r"-\frac{dx}{dy}", &["-dx/dy", r"\frac{-dx}{dy}"], &[r"-\frac{x}{y}", r"\frac{dx}{dy}"]),
    (
        r"\frac{d^2y}{dx^2}",
        &["d^2y/dx^2", r"\frac{d^{2}y}{dx^{2}}"],
        &[r"\frac{dy}{x^2}", r"\frac{dy}{dx}", r"\frac{d^2y}{x^2}", r"\frac{d y^2}{dx^2}"],
    ),
    (r"\frac{d}{dx}", &["d/dx"], &[r"\frac1x", "1/x", r"\frac{d}{dy}"]),
    (r"y'=\frac{dy}{dx}", &[r"y'=dy/dx"], &[r"y'=\frac{y}{x}"]),
    (r"\frac{d\theta}{dt}", &[r"d\theta/dt"], &[r"\frac{\theta}{t}", r"\frac{d\phi}{dt}"]),
    (r"\frac{dz}{du}", &[r"\frac{dz}{du}"], &[r"\frac{z}{u}"]),
    (r"\frac{dV}{dt}=3", &["3"], &[r"\frac{V}{t}=4"]),
    (r"\frac{d}{2}", &["d/2", "0.5d"], &["d"]),
    (r"\frac{ad}{bd}", &[r"\frac{a}{b}"], &[r"\frac{b}{a}"]),
    (r"\frac{d_1}{d_2}", &["d_1/d_2"], &[r"\frac12"]),
];

const BENDS: &[Case] = &[
    (
        "1",
        &[],
        &[r"\cos(10^{-9})", r"\tanh 50", r"\frac{\cosh 50}{\sinh 50}", r"10^{30}-\sqrt{10^{60}-1}"],
    ),
    (r"\cos(10^{-9})", &[r"\cos\left(\frac{1}{10^9}\right)"], &["1"]),
    (r"\sin(10^{-8})", &[r"\sin(10^{-8})"], &["10^{-8}"]),
    (r"\ln(1+10^{-9})", &[], &["10^{-9}"]),
    (r"\tanh(50)", &[r"\tanh 50"], &["1"]),
    (r"\cosh 50", &[], &[r"\frac{e^{50}}{2}", r"\sinh 50"]),
    (
        r"\frac{\pi}{2}",
        &[r"2\arctan 1", r"\arctan 2+\arctan\frac12"],
        &[r"\arctan(10^{20})", r"\arctan(10^{30})"],
    ),
    ("640320^3+744", &[], &[r"e^{\pi\sqrt{163}}"]),
    ("0", &[r"\sin\pi", r"\ln 1"], &[r"\sin(10^{-30})", "e^{-100}"]),
    (r"100\cdot 2^{-t/5730}", &[r"100e^{-\frac{\ln 2}{5730}t}"], &["100"]),
    (
        r"2\cos\frac{\pi}{48}",
        &[r"\sqrt{2+\sqrt{2+\sqrt{2+\sqrt3}}}"],
        &[r"\sqrt{2+\sqrt{2+\sqrt3}}"],
    ),
];

const MATRIX_PRODUCTS: &[Case] = &[
    ("A^T B", &["A^TB", "A^{T} B"], &["B A^T", "BA^T", "A^{TB}", "AB"]),
    ("3A^TB", &["A^T B 3", r"3\cdot A^TB"], &["3BA^T", "2A^TB"]),
    (r"(A^TA)^{-1}A^Tb", &[r"(A^T A)^{-1} A^T b"], &[r"A^Tb(A^TA)^{-1}", r"(AA^T)^{-1}A^Tb"]),
    (r"M^\dagger N", &[r"M^{\dagger}N"], &[r"N M^\dagger"]),
    (r"P D P^{-1}", &[r"P D P^{-1}"], &["D", r"P^{-1} D P"]),
    ("x^ab", &["bx^a"], &["x^{ab}"]),
    ("2^T B", &["B 2^T"], &["B"]),
];

#[test]
fn expressions_are_judged_as_the_tables_say() {
    check_tables(&[
        ("products of matrices", MATRIX_PRODUCTS),
        ("roots and powers", ROOTS_AND_POWERS),
        ("functions", FUNCTIONS),
        ("variables", VARIABLES),
        ("functions at places", APPLICATIONS),
        ("constant functions", CONSTANT_FUNCTIONS),
        ("floors and ceilings of letters", FLOORS),
        ("choices of k of n", SELECTIONS),
        ("operations", OPERATIONS),
        ("derivatives", DERIVATIVES),
        ("bends", BENDS),
    ]);
}

//! Notation: marks, brackets and connectives that must not be dropped, and spellings that make no
//! difference.

use super::{Case, check_tables};

const MARKS: &[Case] = &[
    (
        r"\bar z",
        &[r"\overline z", r"\bar{z}", r"\overline{z}"],
        &["z", r"\hat z", r"\vec z", r"\bar w"],
    ),
    (
        "z",
        &["z", r"\underline{z}", r"\mathbf{z}"],
        &[r"\bar z", r"\overline{z}", r"\dot z", r"\tilde z"],
    ),
    (r"z+\bar z", &[r"\bar z+z", r"\overline{z}+z"], &["2z", r"2\bar z"]),
    (r"P(A|\bar B)", &[r"P(A\mid\overline{B})", r"P(A|\overline B)"], &["P(A|B)", r"P(\bar A|B)"]),
    (r"\bar A", &[r"\overline{A}"], &["A", r"\bar B"]),
    (r"\hat p", &[r"\widehat{p}"], &["p", r"\bar p"]),
    (
        r"\overrightarrow{AB}",
        &[r"\vec{AB}"],
        &["AB", r"\overrightarrow{BA}", r"\overrightarrow{AC}"],
    ),
    (
        "AB",
        &[r"\overline{AB}"],
        &[r"\overrightarrow{AB}", r"\widehat{AB}", r"\overset{\frown}{AB}"],
    ),
    (r"\overline{AB}=12", &["AB=12", "12", r"\overline{AB}=12"], &["AC=12"]),
    (r"\overline{ab}", &[r"\bar{ab}"], &["ab", r"\overline{ba}"]),
    (r"\bar x_1", &[r"\bar{x}_1", r"\overline{x_1}"], &["x_1", r"\bar x_2"]),
    (
        r"\vec v",
        &[r"\mathbf{v}", r"\overrightarrow v", r"\boldsymbol v"],
        &["v", r"\vec w", r"\mathbf{w}"],
    ),
    (r"\mathbf{v}", &["v", r"\vec v"], &["w", r"\vec w"]),
    (
        r"2\hat i-\hat j",
        &["2i-j", r"2\mathbf{i}-\mathbf{j}", r"2\vec i-\vec j", "(2,-1)"],
        &["2i+j", r"2\hat j-\hat i"],
    ),
    (r"5\hat{i}", &[r"5\mathbf{i}", r"5\vec i", "(5,0)"], &[r"5\hat{j}", "5"]),
    (r"\ddot x", &[r"\ddot{x}"], &[r"\dot x", "x"]),
    (r"\mathcal{F}", &[r"\mathcal F"], &["F", r"\mathcal G"]),
    (r"\vec 0", &[r"\vec{0}", r"\mathbf{0}", "0"], &[r"\vec 1", "1"]),
    ("10", &[r"\overline{10}", r"\underline{10}"], &[r"\overline{1}0"]),
    (r"0.\bar3", &[r"\frac13", r"0.\overline{3}"], &["0", "0.3", "3"]),
];

const BRACKETS: &[Case] = &[
    (
        r"\left[\frac n2\right]",
        &[r"[\frac{n}{2}]", r"\lfloor\frac n2\rfloor", r"\left[n/2\right]"],
        &[r"\frac n2", r"\lceil\frac n2\rceil", r"[\frac n3]"],
    ),
    (r"\frac n2", &[r"(\frac n2)", r"{\frac n2}"], &[r"\left[\frac n2\right]"]),
    (r"[\frac n3]+1", &[r"1+[\frac n3]", r"\lfloor\frac n3\rfloor+1"], &[r"\frac n3+1"]),
    ("2[x]", &["[x]2"], &["2x", "[2x]"]),
    ("[x+y]", &["[y+x]"], &["x+y", "[x]+[y]"]),
    ("((a+b)c)^2", &["[(a+b)c]^2", r"\{(a+b)c\}^2"], &["(a+b)c^2"]),
    ("2(x+1)", &["2[x+1]", "[x+1]2", "2[1+x]"], &["2[x]+1"]),
    ("(x+1)(x-1)", &["[x+1][x-1]", "[x+1](x-1)"], &["[x+1]"]),
    ("x^2+2x+1", &["[x+1]^2"], &["[x]^2+2x+1"]),
    (r"\sin(x+1)", &[r"\sin[x+1]"], &[r"\sin[x]+1"]),
    ("12", &["[12]", r"\{12\}", "[3+9]"], &[r"\langle 12\rangle"]),
    (r"\{x\}", &[r"\left\{x\right\}"], &["x", "[x]"]),
    ("x", &["(x)", "{x}"], &[r"\{x\}", r"\langle x\rangle", "[x]"]),
    (r"\{\{1\},2\}", &[r"\{2,\{1\}\}"], &[r"\{1,2\}", r"\{1,\{2\}\}"]),
    (r"\{1,2\}", &[r"\{2,1\}"], &[r"\{\{1\},\{2\}\}"]),
    (r"\{x\}+1", &[r"1+\{x\}"], &["x+1"]),
];

const STATEMENTS: &[Case] = &[
    (r"p\land q", &[r"q\wedge p", "p ∧ q"], &[r"p\lor q", "pq", "p, q"]),
    (r"p\lor q", &[r"q\lor p"], &[r"p\land q", "p, q"]),
    (r"p\lor q\land r", &[r"(r\land q)\lor p"], &[r"(p\lor q)\land r"]),
    (
        r"\neg(p\lor q)",
        &[r"\lnot(q\vee p)", r"\sim(p\lor q)"],
        &[r"\neg(p\land q)", r"p\lor q", r"\neg p\lor q"],
    ),
    (r"\sim p", &[r"\neg p", "¬p"], &["p", r"\sim q"]),
    (r"x<1\lor x>3", &["x<1 or x>3", r"(-\infty,1)\cup(3,\infty)"], &[r"x<1\land x>4"]),
    (r"1\lor 2", &["1, 2", "2 or 1"], &["1", "3"]),
    (r"A\subset B", &[r"B\supset A"], &[r"B\subset A", "AB", r"A\subseteq B", r"A\supset B"]),
    (r"A\subsetneq B", &[r"B\supsetneq A"], &[r"B\subsetneq A", r"A\subseteq B"]),
    (r"a\prec b", &[r"b\succ a"], &[r"b\prec a", "ab"]),
    ("|x|<1", &["|x|<1", "1>|x|"], &["x<1", "|x|<2"]),
    ("y=|x|", &["|x|-y=0"], &["y=x", "x-y=0"]),
    (r"y\propto x", &[r"y\propto x"], &[r"y\propto x^2", "y=x", "xy"]),
    (
        r"\triangle ABC\cong\triangle DEF",
        &[r"\triangle DEF\cong\triangle ABC"],
        &[r"\triangle ABC\sim\triangle DEF", r"\triangle ABC\cong\triangle DFE"],
    ),
    (r"AB\parallel CD", &[r"CD\parallel AB"], &[r"AB\perp CD", r"AC\parallel BD"]),
    (r"a\notin B", &[r"a \notin B"], &[r"a\in B", r"b\notin B"]),
    (r"X\sim N(0,1)", &[r"X \sim N(0,1)"], &[r"Y\sim N(0,1)", "N(0,1)X"]),
    ("3.14", &[r"\sim 3.14", r"\approx 3.14", r"x\cong 3.14"], &[r"\sim 3.15"]),
    (r"p\iff q", &[r"q\Leftrightarrow p"], &[r"p\Rightarrow q", "pq"]),
];

const SPELLINGS: &[Case] = &[
    (
        "12",
        &[
            "１２",
            "\u{200b}12",
            "1\u{200b}2",
            "12\u{feff}",
            "𝟏𝟐",
            "\u{202a}12\u{202c}",
            "12\u{a0}",
            r"\displaystyle 12",
            r"\boldsymbol{12}",
            r"\underline{12}",
            r"\ensuremath{12}",
            "12 ",
            r"\quad 12",
            r"$$12$$",
            r"\[12\]",
            "十二",
        ],
        &["１３", "1\u{200b}3", "十三", "twelve hundred"],
    ),
    (
        r"\frac{3}{4}",
        &[
            "¾",
            r"\frac{３}{４}",
            "3⁄4",
            "3∕4",
            r"\frac {3} {4}",
            r"{3}/{4}",
            r"3\,/\,4",
            r"\frac{3\,}{4}",
        ],
        &["⅔", "34", r"\frac{3}{4"],
    ),
    (
        "x^2-1",
        &["x²−1", "x^{2} - 1", "x**2-1", r"(x-1)(x+1)", "x^2\u{2009}-\u{2009}1"],
        &["x²+1", "x2-1"],
    ),
];

const NOTATION: &[Case] = &[
    (
        "9:4",
        &[r"9 \text{ to } 4", "9 to 4", r"\frac94", "9 : 4", "9：4"],
        &[r"4 \text{ to } 9", "9 to 5", "9", "4 to 9", "94"],
    ),
    (
        "15",
        &[
            r"\Rightarrow 15",
            r"\implies 15",
            "⇒15",
            r"\therefore 15",
            "= 15",
            r"\rightarrow 15",
            "→ 15",
            r"\mleft(15\mright)",
            r"2x=30\Rightarrow x=15",
            r"\boxed{15}",
        ],
        &[r"\Rightarrow 14", r"15\Rightarrow 14", r"\Rightarrow", r"15 \to 14"],
    ),
    (
        r"\sum_{k=1}^{m} k^2",
        &[
            r"\sum^{m}_{k=1} k^2",
            r"\sum_{k=1}^m k^2",
            r"\sum\limits_{k=1}^{m} k^{2}",
            r"\sum_{k=1}^{m}(k^2)",
        ],
        &[
            r"\sum_{k=1}^{n} k^2",
            r"\sum_{k=0}^{m} k^2",
            r"\sum_{k=1}^{m} k",
            r"\left(\sum_{k=1}^{m} k\right)^2",
            r"\sum_{k=1}^{2m} k^2",
            "k^2",
        ],
    ),
    (
        r"\prod_{k=1}^{n} 2k",
        &[r"\prod^{n}_{k=1} 2k"],
        &[r"2\prod_{k=1}^{n} k", r"\sum_{k=1}^{n}2k"],
    ),
    (
        "x_1^2+x_2^2",
        &["x^2_1+x^2_2", "x_{1}^{2}+x_{2}^{2}", "x^{2}_{2}+x^{2}_{1}"],
        &["x_2^1+x_2^2", "x^1_2+x^2_2", "x_1+x_2"],
    ),
    (
        r"\left(\frac12\right)^3",
        &[r"\mleft(\frac12\mright)^3", r"\biggl(\frac12\biggr)^3"],
        &[r"\mleft(\frac12\mright)^2"],
    ),
    (r"\ln|x|", &[r"\ln x", r"\ln\left|x\right|"], &[r"\ln 2x", r"|\ln x|", r"\log x"]),
    (r"\ln|x|+C", &[r"\ln x+C"], &[r"\ln x", r"\ln|x|"]),
    ("5050", &[r"\frac{100\cdot101}{2}"], &[r"\sum_{k=1}^{100} k", r"\sum_{k=1}^{100}"]),
    ("5040", &["7!"], &["6!"]),
];

const CHARACTERS: &[Case] = &[
    ("2", &["∛8", "∜16"], &["√8", "∛16"]),
    (r"\frac17", &["⅐"], &["⅑"]),
    (r"\frac19", &["⅑"], &["⅒"]),
    (r"\frac1{10}", &["⅒"], &["1", "10"]),
    ("a_n", &["aₙ"], &["aₖ", "an"]),
    ("a_{n+1}", &["aₙ₊₁"], &["aₙ", "a_n+1"]),
    ("2^{n+1}", &["2ⁿ⁺¹"], &["2ⁿ", "2ⁿ+1"]),
    ("2^k", &["2ᵏ"], &["2k"]),
    (r"AB\parallel CD", &["AB∥CD"], &["AB⊥CD"]),
    ("5", &["∥v∥=5"], &["∥v∥=6"]),
];

const EMPTY_GROUPS: &[Case] = &[
    (r"2\pi r", &[r"2\pi{} r", r"2{}\pi{}r", r"{}2\pi r"], &[r"2\pi^{} r", "2r"]),
    ("10:30", &["10{:}30"], &["10{:}31"]),
    (r"09{:}05", &["9:05"], &["9:06"]),
    ("x=3", &["x{=}3"], &["x{=}4"]),
    (r"\frac12", &[r"\frac12{}"], &[r"\frac{1}{}2", r"\frac{}{}12"]),
    ("35", &["{}_7C_3", "{}^7C_3"], &["{}_7C_2"]),
    ("70", &["2{}_7C_3", r"2\cdot{}^7C_3"], &["{}_7C_3"]),
];

/// The length of a vector is not the vector.
const LENGTHS: &[Case] = &[
    (r"|\vec a|", &[r"\|\vec a\|", r"|-\vec a|"], &[r"\vec a", r"-|\vec a|"]),
    (r"\vec a", &[], &[r"|\vec a|"]),
    (
        r"|\vec a-\vec b|",
        &[r"|\vec b-\vec a|"],
        &[r"\vec b-\vec a", r"\vec a-\vec b", r"|\vec a|-|\vec b|"],
    ),
    (r"|\vec a+\vec b|", &[r"|\vec b+\vec a|"], &[r"|\vec a|+|\vec b|"]),
    (r"\|\vec v\|", &[r"|\vec v|"], &[r"\vec v"]),
    (r"|\mathbf v|", &[r"\|\mathbf v\|", r"|\vec v|"], &[r"\mathbf v"]),
    (r"|\vec{AB}|", &[], &[r"\vec{AB}"]),
    (r"2|\vec a|", &[r"|2\vec a|"], &[r"2\vec a"]),
    (r"|\vec a||\vec b|", &[r"|\vec b||\vec a|"], &[r"\vec a\cdot\vec b", r"|\vec a\cdot\vec b|"]),
    (r"|\vec a|^2", &[r"\vec a^2", r"\vec a\cdot\vec a"], &[r"|\vec a|\vec a"]),
    (r"\frac{\vec a}{|\vec a|}", &[r"\frac{1}{|\vec a|}\vec a"], &["1"]),
    (r"|\vec a\times\vec b|", &[], &[r"\vec a\times\vec b"]),
    ("|f(x)|", &[], &["f(x)"]),
    ("|f(2)|", &[], &["f(2)"]),
];

/// Without braces an argument is one letter, as TeX has it.
const ARGUMENTS: &[Case] = &[
    (r"\sqrt{ab}", &[r"\sqrt{a b}"], &[r"\sqrt ab"]),
    (r"\sqrt{a}b", &[r"\sqrt ab"], &[r"\sqrt{ab}"]),
    (r"\sqrt[3]{a}b", &[r"\sqrt[3]ab"], &[r"\sqrt[3]{ab}"]),
    (r"\sqrt{A}B", &[r"\sqrt AB"], &[]),
    (r"\frac{b}{a}", &[r"\frac{1}ab", r"\frac1ab"], &[r"\frac{1}{ab}"]),
    (r"\frac{1}{ab}", &[r"\frac1{ab}"], &[r"\frac{1}ab", r"\frac1ab"]),
    (r"\frac{a}{b}", &[r"\frac ab", r"\dfrac ab"], &[r"\frac ba"]),
    (r"\frac{p}{q}", &[r"\dfrac pq"], &[r"\dfrac qp"]),
    (r"\frac{ac}{b}", &[r"\frac abc"], &[r"\frac{a}{bc}"]),
    (r"\binom{n}{k}", &[r"\binom nk"], &[r"\binom kn"]),
    // The name of a segment.
    (r"\overline{AB}", &[r"\overline AB"], &[r"\overline AC"]),
];

/// An order in brackets is that of a derivative, or an index, and not a power.
const ORDERS: &[Case] = &[
    ("y^{(2)}", &["y''"], &["y^2", "y'", "2y"]),
    ("y^2", &["y^{2}", "y^(2)"], &["y^{(2)}"]),
    ("y^{(4)}", &["y''''"], &["y^4"]),
    ("f^{(2)}(x)", &["f''(x)"], &["f^2(x)", "f'(x)"]),
    ("f^{(n)}(0)", &["f^{(n)}(0)"], &["f^n(0)", "f^{(m)}(0)", "f(0)"]),
    ("a^{(1)}", &[], &["a"]),
    // Of numbers it is a power.
    ("8", &["2^{(3)}"], &[]),
    ("e^{x+1}", &["e^{(x+1)}"], &[]),
];

#[test]
fn notation_is_judged_as_the_tables_say() {
    check_tables(&[
        ("lengths of vectors", LENGTHS),
        ("arguments without braces", ARGUMENTS),
        ("orders of derivatives", ORDERS),
        ("empty groups and braces for spacing", EMPTY_GROUPS),
        ("marks", MARKS),
        ("brackets", BRACKETS),
        ("statements", STATEMENTS),
        ("spellings", SPELLINGS),
        ("spellings of notation", NOTATION),
        ("characters", CHARACTERS),
    ]);
}

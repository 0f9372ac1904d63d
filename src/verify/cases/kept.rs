//! What carries meaning and must not be dropped: marks, brackets, relations, connectives, the order of operations, units, names of values;
//! and what says the same in words.

use super::{Case, check};
use crate::verify::{AnswerFormat, Verdict, verify};

const MARKS: &[Case] = &[
    (r"\bar z", &[r"\overline z", r"\bar{z}", r"\overline{z}"], &["z", r"\hat z", r"\vec z", r"\bar w"]),
    ("z", &["z", r"\underline{z}", r"\mathbf{z}"], &[r"\bar z", r"\overline{z}", r"\dot z", r"\tilde z"]),
    (r"z+\bar z", &[r"\bar z+z", r"\overline{z}+z"], &["2z", r"2\bar z"]),
    (r"P(A|\bar B)", &[r"P(A\mid\overline{B})", r"P(A|\overline B)"], &["P(A|B)", r"P(\bar A|B)"]),
    (r"\bar A", &[r"\overline{A}"], &["A", r"\bar B"]),
    (r"\hat p", &[r"\widehat{p}"], &["p", r"\bar p"]),
    (r"\overrightarrow{AB}", &[r"\vec{AB}"], &["AB", r"\overrightarrow{BA}", r"\overrightarrow{AC}"]),
    ("AB", &[r"\overline{AB}"], &[r"\overrightarrow{AB}", r"\widehat{AB}", r"\overset{\frown}{AB}"]),
    (r"\overline{AB}=12", &["AB=12", "12", r"\overline{AB}=12"], &["AC=12"]),
    (r"\overline{ab}", &[r"\bar{ab}"], &["ab", r"\overline{ba}"]),
    (r"\bar x_1", &[r"\bar{x}_1", r"\overline{x_1}"], &["x_1", r"\bar x_2"]),
    (r"\vec v", &[r"\mathbf{v}", r"\overrightarrow v", r"\boldsymbol v"], &["v", r"\vec w", r"\mathbf{w}"]),
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
    (r"\neg(p\lor q)", &[r"\lnot(q\vee p)", r"\sim(p\lor q)"], &[r"\neg(p\land q)", r"p\lor q", r"\neg p\lor q"]),
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
    (r"\nabla\cdot F", &[r"\nabla \cdot F"], &[r"\nabla\times F", r"\nabla F", r"\nabla\cdot G", r"\nabla\cdot F=0"]),
    (r"\nabla\times F", &[r"∇×F"], &[r"\nabla\cdot F", r"\nabla F"]),
    (r"\nabla F", &[r"\nabla F"], &[r"\nabla\cdot F", r"\nabla\times F"]),
    (r"\nabla\cdot\mathbf{F}", &[r"\nabla\cdot\mathbf F"], &[r"\nabla\times\mathbf{F}", r"\nabla\mathbf{F}"]),
    (r"\nabla\times\vec{F}", &[r"\nabla\times\vec F"], &[r"\nabla\cdot\vec{F}"]),
    (r"\nabla\cdot F=0", &[r"\nabla\cdot F=0"], &[r"\nabla\times F=0"]),
    (r"\nabla^2 f", &[r"\nabla^2f"], &[r"\nabla f"]),
    (r"a\cdot b", &["ab", r"a\times b"], &["a+b"]),
    ("f'(x)", &[r"f^{\prime}(x)", r"f^\prime(x)", "f′(x)", "f^{'}(x)"], &["f(x)", "f''(x)", r"f^{\prime\prime}(x)"]),
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
        &["dy/dx", r"\dfrac{dy}{dx}", r"\frac{\mathrm{d}y}{\mathrm{d}x}", r"\frac{\mathrm dy}{\mathrm dx}"],
        &[r"\frac{1\cdot y}{x}", r"\frac{y}{x}", "y/x", r"\frac{dx}{dy}", r"\frac{dy}{dt}", r"\frac{d}{dx}"],
    ),
    (r"\frac{dx}{dt}", &["dx/dt"], &[r"\frac{x}{t}", "x/t"]),
    (r"\frac{y}{x}", &["y/x"], &[r"\frac{dy}{dx}", "dy/dx"]),
    (r"2x\frac{dx}{dt}", &[r"2\frac{dx}{dt}x", r"\frac{2x\,dx}{dt}", r"\frac{2xdx}{dt}"], &[r"\frac{2x^2}{t}"]),
    (r"\frac{1}{x}\frac{dx}{dt}", &[r"\frac{dx}{x\,dt}", r"\frac{dx}{xdt}"], &[r"\frac{dx}{dt}", r"\frac1t"]),
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

const QUANTITIES: &[Case] = &[
    (r"20^\circ C", &["20", r"20^\circ\text{C}", "20℃", "20°C", r"20^\circ"], &[r"20^\circ F", "20℉", r"21^\circ C"]),
    (r"-5^\circ\text{C}", &["-5", r"-5^\circ C"], &["5"]),
    ("20℉", &[r"20^\circ\mathrm{F}", r"20\text{ degrees Fahrenheit}"], &["20℃", r"20\text{ degrees Celsius}"]),
    (r"5\text{ kN}", &["5", r"5000\text{ N}", r"5\,\mathrm{kN}", r"5\text{ kilonewtons}"], &[r"5\text{ N}", "5000"]),
    (r"5\text{ MW}", &[r"5000\text{ kW}"], &[r"5\text{ mW}", r"5\text{ W}", r"5\text{ kW}"]),
    (r"5\mathrm{mA}", &[r"0.005\,\mathrm{A}"], &[r"5\,\mathrm{A}"]),
    (r"5\text{ MHz}", &[r"5000000\text{ Hz}"], &[r"5\text{ Hz}", r"5\text{ kHz}"]),
    (r"5\text{ nm}", &["5"], &[r"5\text{ m}", r"5\text{ mm}"]),
    (r"5\text{ kPa}", &["5"], &[r"5\text{ Pa}"]),
    (r"5\text{ kV}", &["5"], &[r"5\text{ V}"]),
    (r"5\text{ eV}", &["5"], &[r"5\text{ J}", r"5\text{ keV}"]),
    (r"3\text{ hours before}", &["3", r"3\text{ hours}", r"3\text{ hours earlier}"], &[r"3\text{ hours after}"]),
    (r"2\text{ days before Monday}", &[r"2\text{ days before Monday}"], &[r"2\text{ days after Monday}"]),
    ("5 years ago", &["5", "5 years ago"], &["5 years from now"]),
    (r"2\text{ hours early}", &["2"], &[r"2\text{ hours late}"]),
    (
        r"90^\circ\text{ clockwise}",
        &["90", r"90^\circ", r"90\text{ degrees clockwise}"],
        &[r"90^\circ\text{ counterclockwise}", r"90^\circ\text{ counter-clockwise}"],
    ),
    (r"3\text{ km upstream}", &[r"3\text{ km}"], &[r"3\text{ km downstream}"]),
    (r"3\text{ faster}", &["3"], &[r"3\text{ slower}"]),
    (r"3\text{ ahead}", &["3"], &[r"3\text{ behind}"]),
    (r"3\text{ inside}", &["3"], &[r"3\text{ outside}"]),
    (r"3\text{ positive}", &["3", r"3\text{ positive integers}"], &[r"3\text{ negative}"]),
    (r"3\text{ real roots}", &["3", r"3\text{ roots}"], &[r"3\text{ complex roots}"]),
    (r"3\text{ maxima}", &["3"], &[r"3\text{ minima}"]),
    (r"3\text{ cm shorter}", &[r"3\text{ cm}"], &[r"3\text{ cm longer}"]),
    (r"3\text{ cm wide}", &[r"3\text{ cm}", "3"], &[r"3\text{ cm long}"]),
    (r"3\text{ ft tall}", &[r"3\text{ feet high}"], &[r"3\text{ ft wide}"]),
    (r"5\text{ steps forward}", &["5", r"5\text{ steps}"], &[r"5\text{ steps back}"]),
    (r"5\text{ bytes}", &["5", r"40\text{ bits}"], &[r"5\text{ bits}"]),
    (r"5\text{ GB}", &["5"], &[r"5\text{ MB}", r"5\text{ Gb}"]),
    (r"5\text{ cm long}", &["5", r"5\text{ cm}"], &[r"5\text{ m long}"]),
    (r"5\text{ times a day}", &["5"], &[r"5\text{ times a week}"]),
    ("€5", &["5", r"5\text{ euros}"], &["$5", r"\$5", "£5"]),
    (r"\$5", &["$5", "5$", "5"], &["€5", "£5"]),
    (r"5\text{ nickels}", &["5"], &[r"5\text{ dimes}"]),
    (r"5\text{ red}", &["5", r"5\text{ red balls}", "5 red"], &[r"5\text{ blue}", r"6\text{ red}"]),
    ("3 boys, 5 girls", &["3 boys, 5 girls", "5 girls, 3 boys", "3, 5"], &["5 boys, 3 girls", "3 girls, 5 boys"]),
    (
        r"3\text{ apples}, 5\text{ pears}",
        &[r"5\text{ pears and }3\text{ apples}"],
        &[r"5\text{ apples}, 3\text{ pears}"],
    ),
    (
        r"\text{Tom}: 3, \text{Ann}: 5",
        &[r"\text{Ann}: 5, \text{Tom}: 3", r"\text{Tom}=3, \text{Ann}=5"],
        &[r"\text{Tom}: 5, \text{Ann}: 3"],
    ),
    (
        r"\text{Tom is }3, \text{Ann is }5",
        &[r"\text{Ann is }5, \text{Tom is }3"],
        &[r"\text{Tom is }5, \text{Ann is }3"],
    ),
    ("5", &["5 apples"], &[r"5\text{ at most}", r"5\text{ at least}", r"5\text{ excluded}", r"5\text{ minimum}"]),
    (
        "5",
        &[r"\text{Therefore, the answer is }5", r"\text{Answer: }5", r"\text{The answer is }5"],
        &[r"\text{Answer: }6"],
    ),
    (r"5\text{ atm}", &["5", r"506625\text{ Pa}"], &[r"5\text{ Pa}", r"5\text{ mmHg}"]),
    (r"12\text{ noon}", &["12"], &[r"12\text{ midnight}"]),
    (r"5\text{ m/s}", &["5", r"5\text{ ms}^{-1}", r"5\text{ m s}^{-1}"], &[r"5\text{ ms}", r"5\text{ ms}^{-2}"]),
    (r"5\text{ km north}", &["5"], &[r"5\text{ km south}"]),
    (r"5\%\text{ increase}", &[r"5\%"], &[r"5\%\text{ decrease}"]),
];

const TIMES: &[Case] = &[
    ("1:15 pm", &["1:15 PM", "1:15", r"01:15\text{ p.m.}"], &["2:30 pm", "2:30", "1:15 am", r"\frac{1}{15}"]),
    ("10:20 am", &["10:20", r"10:20\text{ AM}"], &["5:10 am", "5:10", "0.5", "2", "10:20 pm"]),
    ("10:15 am", &["10:15"], &["2/3", "20:30 am"]),
    ("0.5", &[], &["10:20 am", r"1:2\text{ hours}"]),
    (r"1:15\text{ hours}", &["1:15", r"1:15\text{ h}"], &[r"2:30\text{ hours}", r"1:15\text{ minutes}", "1/15"]),
    (r"1:15\text{ pm EST}", &["1:15"], &[r"2:30\text{ pm EST}"]),
    ("10:20 am, 1:15 pm", &["1:15 pm, 10:20 am"], &["5:10 am, 2:30 pm"]),
    (r"12:00\text{ noon}", &["12:00"], &[r"12:00\text{ midnight}", r"6:00\text{ noon}"]),
    ("10:20", &["10:20 am", "1:2"], &["5:10 am"]),
    ("07:30", &["7:30", "07:30 am", "07:30."], &[r"\frac{7}{30}", "7/30", "08:30", "07:30 pm, 1"]),
    ("9:05", &["9:05", "9:05 am", "09:05"], &[r"\frac95", "9/5", "1.8", "9:06"]),
    (r"\frac{7}{30}", &["7:30"], &["07:30"]),
    ("4", &["08/2"], &["08:02"]),
];

const DATES_AND_NAMES: &[Case] = &[
    (
        r"\text{May 1}",
        &[r"\text{1 May}", r"\text{May 1st}", r"\text{the 1st of May}"],
        &[r"\text{1 June}", r"\text{2 May}"],
    ),
    (r"\text{7 May}", &[r"\text{May 7th}", r"\text{7 MAY}"], &[r"\text{May 8th}"]),
    ("2024-05-01", &["2024-05-01", "2024-5-1", r"\text{2024-05-01}"], &["2018", "2024-05-02", "2024-01-05"]),
    ("2020-01-05", &["2020-01-05."], &["2014", "2020-05-01"]),
    ("1/2/2020", &["1/2/2020", "01/02/2020"], &[r"\frac{1}{4040}", "1/4040", "2/1/2020"]),
    ("2014", &["2020-6", "2020-1-5+0"], &["2020-01-05"]),
    ("1/1010", &["2/2020"], &["2/2021"]),
    (r"\text{Room 5 Bob}", &[r"\text{room 5 BOB}"], &[r"\text{room 5 Tom}"]),
    (r"\text{at 5 AM}", &[r"\text{At 5 am}"], &[r"\text{at 5 pm}"]),
    (r"\text{about 5 MW}", &[r"\text{About 5 MW}"], &[r"\text{about 5 mW}"]),
];

const NUMBERS_WITH_AND: &[Case] = &[
    (
        "305",
        &[r"\text{three hundred and five}", "three hundred and five"],
        &[r"\text{three hundred and six}", "three and five"],
    ),
    ("120", &[r"\text{one hundred and twenty}", r"\text{a hundred and twenty}"], &[r"\text{one hundred}", "twenty"]),
    ("1005", &[r"\text{one thousand and five}"], &[r"\text{one hundred and five}"]),
    ("-305", &[r"\text{minus three hundred and five}"], &["three hundred and five"]),
    ("5.5", &[r"\text{five and a half}", "five and one half"], &[r"\text{five}", r"\text{six and a half}"]),
    (r"\frac{11}{4}", &[r"\text{two and three quarters}"], &[r"\text{two and a quarter}"]),
    ("3, 5", &[r"\text{three and five}"], &["8", r"\text{three and six}"]),
    ("20, 5", &[r"\text{twenty and five}"], &["25"]),
    ("25", &["twenty five"], &[r"\text{twenty and five}"]),
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

const ALTERED: &[Case] = &[
    (
        "5",
        &[
            r"5\text{ passes}",
            r"\text{exactly }5",
            r"\text{only }5",
            r"\text{precisely }5",
            r"\text{a total of }5",
            "a total of 5",
            r"x\text{ is }5",
            r"x\text{ equals }5",
            "x is 5",
        ],
        &[
            r"5\text{ fails}",
            r"5\text{ rejected}",
            r"5\text{ impossible}",
            r"5\text{ invalid}",
            r"5\text{ too small}",
            r"5\text{ doubled}",
            r"5\text{ halved}",
            r"5\text{ inverse}",
            r"5\text{ minus}",
            r"5\text{ million}^2",
            r"5\text{ tens}^2",
            r"5\text{ below zero}",
            r"5\text{ 错误}",
            r"\text{exactly }6",
            r"\text{not exactly }5",
            r"\text{only if }5",
            r"x\text{ is not }5",
            r"x\text{ is at most }5",
            r"x\text{ is }6",
        ],
    ),
    (
        "-5",
        &[r"5\text{ below zero}", r"5\text{ degrees below zero}", r"5^\circ\text{ below zero}"],
        &["5", r"5\text{ above zero}"],
    ),
    (r"-5^\circ C", &[r"5^\circ\text{C below zero}"], &[r"5^\circ\text{C}"]),
    ("B", &[], &[r"B\text{ is }5"]),
];

const GOLD_UNITS: &[Case] = &[
    ("9 m", &[r"9\text{ m}", r"9\,\mathrm{m}", r"900\text{ cm}"], &[r"9\text{ s}", r"9\text{ cm}", "9x", "9"]),
    ("20 N", &[r"20\,\mathrm{N}", r"20\text{ newtons}"], &[r"20\text{ J}", "20 J"]),
    ("9 m/s", &[r"9\text{ m/s}", r"9\,\mathrm{m/s}", r"32.4\text{ km/h}"], &[r"9\text{ m}", r"9\text{ km/h}"]),
    ("12 V", &[r"12\text{ V}", r"12\,\mathrm{V}"], &[r"12\text{ A}", r"13\text{ V}"]),
    (r"12\text{ V}", &["12 V", "12"], &["12 A", "12x"]),
    (r"5\,\mathrm{\Omega}", &[r"5\ \Omega", "5 Ω", "5", r"5\text{ ohms}"], &["6", r"5\text{ V}", r"6\ \Omega"]),
    ("5 Ω", &[r"5\ \Omega", "5", r"5\text{ Ω}"], &["6", "Ω"]),
    (r"5\text{ V}", &["5"], &[r"5\text{ \Omega}", "5 Ω"]),
    ("9x", &["9x"], &[r"9\text{ x}", r"9\text{ m}"]),
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

const BENDS: &[Case] = &[
    ("1", &[], &[r"\cos(10^{-9})", r"\tanh 50", r"\frac{\cosh 50}{\sinh 50}", r"10^{30}-\sqrt{10^{60}-1}"]),
    (r"\cos(10^{-9})", &[r"\cos\left(\frac{1}{10^9}\right)"], &["1"]),
    (r"\sin(10^{-8})", &[r"\sin(10^{-8})"], &["10^{-8}"]),
    (r"\ln(1+10^{-9})", &[], &["10^{-9}"]),
    (r"\tanh(50)", &[r"\tanh 50"], &["1"]),
    (r"\cosh 50", &[], &[r"\frac{e^{50}}{2}", r"\sinh 50"]),
    (r"\frac{\pi}{2}", &[r"2\arctan 1", r"\arctan 2+\arctan\frac12"], &[r"\arctan(10^{20})", r"\arctan(10^{30})"]),
    ("640320^3+744", &[], &[r"e^{\pi\sqrt{163}}"]),
    ("0", &[r"\sin\pi", r"\ln 1"], &[r"\sin(10^{-30})", "e^{-100}"]),
    (r"100\cdot 2^{-t/5730}", &[r"100e^{-\frac{\ln 2}{5730}t}"], &["100"]),
    (r"2\cos\frac{\pi}{48}", &[r"\sqrt{2+\sqrt{2+\sqrt{2+\sqrt3}}}"], &[r"\sqrt{2+\sqrt{2+\sqrt3}}"]),
];

const WORDS: &[Case] = &[
    (
        "B",
        &[
            r"\text{Option B}",
            r"\text{The answer is B}",
            r"\textbf{(B)}\ 12",
            "选项B",
            "故选B",
            "答案是B",
            r"\text{Choice (B)}",
            "option B",
            "(B) 12",
        ],
        &[
            "A",
            "b",
            r"\text{not B}",
            r"\text{B: false}",
            "B: no",
            r"\text{Option A}",
            r"\text{Option B or C}",
            "选项A",
            r"\textbf{(A)}\ 12",
            "不选B",
        ],
    ),
    ("ABD", &["A,B,D", "A, B, D", r"\text{A, B, D}", r"A\text{, }B\text{ and }D"], &["A,B", "AB", "A,B,C", "D"]),
    (r"\text{no solution}", &[r"\emptyset", "no solutions", r"\text{No real solutions}", "无解"], &["0", "solution"]),
    (r"\emptyset", &[r"\text{no solution}", "no solution", r"\text{There are no solutions}"], &["0", "none of these"]),
    ("1st", &["first", r"\text{first}", "1"], &["second", "2nd"]),
    ("first", &["1st"], &["2nd", "second"]),
    ("3", &["third", r"\text{third}"], &["fourth", "one third"]),
    (r"\frac13", &["one third", r"\text{one third}"], &["third", "two thirds"]),
    (r"\frac34", &["three quarters", "three fourths"], &["one quarter"]),
    (r"\frac12", &["one half", r"\text{half}", r"\text{a half}"], &["two halves"]),
    ("三", &["3"], &["4"]),
    ("12", &["十二"], &["十三", "二十"]),
    ("205", &["二百零五"], &["二十五"]),
    ("30000", &["三万"], &["三千"]),
    ("12", &[r"\sigma^2=12", "f(2)=g(3)=12", "x=y=12"], &[r"\sigma=144", "x^2=12", "f(2)=g(3)=13"]),
    (
        r"(k\pi,\ k\pi+\frac{\pi}{2}),\ k\in\mathbb{Z}",
        &[r"(\pi+k\pi,\ \frac{3\pi}{2}+k\pi),\ k\in\mathbb{Z}", r"x\in(n\pi,\ n\pi+\frac{\pi}{2}),\ n\in\mathbb{Z}"],
        &[
            r"(k\pi,\ k\pi+\frac{3\pi}{2}),\ k\in\mathbb{Z}",
            r"[k\pi,\ k\pi+\frac{\pi}{2}],\ k\in\mathbb{Z}",
            r"(\frac{\pi}{2}+k\pi,\ \pi+k\pi),\ k\in\mathbb{Z}",
            r"(2k\pi,\ 2k\pi+\frac{\pi}{2}),\ k\in\mathbb{Z}",
        ],
    ),
];

/// Documented decisions that a reader may have expected otherwise.
const CONTRACT: &[Case] = &[
    ("5", &[r"5\%"], &["0.05", r"0.05\%"]),
    (r"5\%", &["5", "0.05", r"\frac{1}{20}"], &[r"0.05\%", "500"]),
    (r"\frac17", &["0.142857", "0.1428571"], &["0.14286", "0.142856", "0.143"]),
    ("2", &["2"], &["2, 2"]),
    ("101_2", &["101_2", "101"], &["5", "101_3"]),
    ("Ce^x", &["e^xC"], &["Ke^x"]),
    (r"(1,\infty)", &[r"x\in(1,\infty)"], &["x>1"]),
    ("13", &["13 hours", r"13\text{ h}"], &["13h", "13k"]),
];

#[test]
fn what_carries_meaning_is_kept() {
    let tables = [
        ("marks", MARKS),
        ("brackets", BRACKETS),
        ("statements", STATEMENTS),
        ("operations", OPERATIONS),
        ("derivatives", DERIVATIVES),
        ("quantities", QUANTITIES),
        ("times", TIMES),
        ("dates and names", DATES_AND_NAMES),
        ("numbers with and", NUMBERS_WITH_AND),
        ("equations that are not solved", UNSOLVED),
        ("words that alter a value or not", ALTERED),
        ("units in the gold answer", GOLD_UNITS),
        ("characters", CHARACTERS),
        ("bends", BENDS),
        ("words", WORDS),
        ("the contract", CONTRACT),
    ];
    for (kind, cases) in tables {
        eprintln!("{:>4} {kind}", check(cases));
    }
}

#[test]
fn a_denied_or_supposed_answer_is_none() {
    for (gold, completion, expected) in [
        ("5", "The wrong answer is 5", Verdict::NoAnswer),
        ("5", "The answer is not 5", Verdict::Incorrect),
        ("5", "I do not think the answer is 5", Verdict::NoAnswer),
        ("5", "If x = 1 the answer is 5", Verdict::NoAnswer),
        ("5", "The answer could be 5", Verdict::NoAnswer),
        ("5", "Since 4 is wrong the answer is 5", Verdict::Correct),
        ("7", "The wrong answer is 5. So we get 7", Verdict::Correct),
        ("5", "The answer is 5. The wrong answer is 7", Verdict::Correct),
        ("1,234", "The answer is 1,234.", Verdict::Correct),
        ("12", "The tank could hold 12 liters", Verdict::Correct),
        ("12", "We might need 12", Verdict::Correct),
        ("12", "It could be 12", Verdict::NoAnswer),
        ("12", "It might be 12", Verdict::NoAnswer),
        ("12", "It could not be 12", Verdict::NoAnswer),
        ("5", "The answer is exactly 5.", Verdict::Correct),
        ("305", "The answer is three hundred and five.", Verdict::Correct),
    ] {
        let verdict = verify(gold, completion, AnswerFormat::MathAnywhere).verdict;
        assert!(verdict == expected || (!expected.is_correct() && !verdict.is_correct()), "{completion}: {verdict:?}");
    }
    for (gold, completion, expected) in [
        ("B", "anything but B", Verdict::NoAnswer),
        ("B", "All but B are right", Verdict::NoAnswer),
        ("B", "It could be B", Verdict::NoAnswer),
        ("B", "maybe B", Verdict::NoAnswer),
        ("B", "It is not true that the answer is B", Verdict::NoAnswer),
        ("B", "I doubt the answer is B", Verdict::NoAnswer),
        ("D", "Since A is wrong the answer is D", Verdict::Correct),
        ("D", "A is not correct the answer is D", Verdict::Correct),
        ("D", "As A can be ruled out the answer is D", Verdict::Correct),
        ("D", "It could be A. The answer is D", Verdict::Correct),
        ("D", "Since A fails the answer is D", Verdict::Correct),
        ("D", "As A is invalid the answer is D", Verdict::Correct),
        ("B", "The invalid answer is B", Verdict::NoAnswer),
        ("C", "It is not B but C", Verdict::Correct),
        ("B", "答案是B或C", Verdict::Incorrect),
        ("B", "选B和C", Verdict::Incorrect),
        ("B", "The answer is B or maybe C", Verdict::Incorrect),
        ("B", "因为A错误所以选B", Verdict::Correct),
        ("B", "B is the correct answer? No.", Verdict::NoAnswer),
        ("B", "Is the answer B?", Verdict::NoAnswer),
        ("B", "The answer is hardly B", Verdict::NoAnswer),
        ("B", "The answer is the opposite of B", Verdict::NoAnswer),
        ("B", "not only A but also B", Verdict::NoAnswer),
        ("A", "The answer is A bit complicated", Verdict::NoAnswer),
        ("A", "Answer: A number of things", Verdict::NoAnswer),
        ("A", "The answer is A good question", Verdict::NoAnswer),
        ("I", "The answer is I think 5", Verdict::NoAnswer),
        ("I", "The answer is I'm not sure", Verdict::NoAnswer),
        ("I", "The answer is I was wrong", Verdict::NoAnswer),
        ("A", "The answer is A'.", Verdict::NoAnswer),
        ("A", "A' is correct", Verdict::NoAnswer),
        ("A", "so the point is A'", Verdict::NoAnswer),
        ("B", "'B' is correct", Verdict::Correct),
        ("B", "so it is 'B'", Verdict::Correct),
        ("A", "The answer is A because B is wrong", Verdict::Correct),
        ("A", "The answer is A as said", Verdict::Correct),
        ("A", "The answer is (A) bit", Verdict::Correct),
        ("I", "The answer is I.", Verdict::Correct),
        ("B", "The answer is `B`.", Verdict::Correct),
        ("B", "The answer is 'B'", Verdict::Correct),
        ("B", "The answer is ‘B’.", Verdict::Correct),
        ("B", "The answer is “B”.", Verdict::Correct),
        ("B", "所以选择「B」", Verdict::Correct),
        ("B", "所以选择B选项", Verdict::Correct),
        ("C", "所以选择B选项", Verdict::Incorrect),
        ("B", "The answer is `B` or `C`", Verdict::Incorrect),
        ("B", "The answer is not `B`", Verdict::NoAnswer),
    ] {
        assert_eq!(verify(gold, completion, AnswerFormat::Choice).verdict, expected, "{completion}");
    }
}

#[test]
fn several_letters_are_no_choice() {
    for letters in [
        "(B) (C)",
        "(B)(C)",
        "B C",
        "B; C",
        "B；C",
        "B - C",
        "B–D",
        "B to D",
        "B through D",
        "B | C",
        r"B\C",
        "B+C",
        "B plus C",
        "B vs C",
        "B vs. C",
        "B as well as C",
        "B. Or C.",
        "B > C",
        "B = C",
        "B or C",
        "B, C",
        "B/C",
        "B & C",
    ] {
        for announcement in ["The answer is ", "答案是", "答案："] {
            let completion = format!("{announcement}{letters}");
            let verdict = verify("B", &completion, AnswerFormat::Choice).verdict;
            assert!(!verdict.is_correct(), "{completion}: {verdict:?}");
        }
    }
    for completion in [
        "The answer is (B) A triangle with two equal sides",
        "The answer is B - a square",
        "The answer is B — C is too large.",
        "The answer is B; A is wrong.",
        "The answer is B\nA is wrong.",
        "The answer is B. C is wrong.",
        r"The answer is \(B\). C is wrong.",
        "The answer is B to be sure.",
        "The answer is (B) -3",
        "The answer is (B) +4",
    ] {
        let verdict = verify("B", completion, AnswerFormat::Choice).verdict;
        assert_eq!(verdict, Verdict::Correct, "{completion}");
    }
}

#[test]
fn a_choice_that_is_taken_back_is_none() {
    for completion in [
        "The answer is B. Wait, it's actually C.",
        "The answer is B, wait, no, C",
        "The answer is B. No, C.",
        "The answer is B. Correction: C.",
        "The answer is (B). Let me check. Oh no, it's (C).",
        "B is correct. Wait, no, C.",
        "答案是B？不，是C",
        "Is the answer B? No, C.",
    ] {
        let verdict = |gold| verify(gold, completion, AnswerFormat::Choice).verdict;
        assert_eq!((verdict("C"), verdict("B")), (Verdict::Correct, Verdict::Incorrect), "{completion}");
    }
    for completion in [
        "The answer is B, but that is wrong.",
        "The answer is B. That is not correct.",
        "I disagree that the answer is B.",
        "One might think the answer is B.",
        "Saying the answer is B would be wrong.",
        "The answer is B is wrong.",
    ] {
        let verdict = verify("B", completion, AnswerFormat::Choice).verdict;
        assert_eq!(verdict, Verdict::NoAnswer, "{completion}");
    }
    for completion in [
        "The answer is B. Wait, let me check. Yes, B.",
        "The answer is B. No, A is not correct.",
        "The answer is B, no doubt.",
        "The answer is B, not C.",
        "The answer is B. Actually, C is also tempting.",
        "The answer is B. A says 5, but that is wrong.",
        "The answer is B as A is wrong.",
        "The answer is C. No, B.",
        "The answer is B. Is it A? No. C? No.",
        "The answer is B. The others: A: no. C: no. D: no.",
        "The answer is B. A: no, C: no.",
        "The answer is B. Is it right? Yes, not C.",
        "The answer is B. It is not wrong.",
    ] {
        let verdict = verify("B", completion, AnswerFormat::Choice).verdict;
        assert_eq!(verdict, Verdict::Correct, "{completion}");
    }
}

#[test]
fn a_letter_that_is_part_of_something_else_is_no_choice() {
    for (letter, completion) in [
        ("E", "The answer is E = mc^2"),
        ("D", "The answer is D = 4"),
        ("A", "The answer is A = B"),
        ("B", "The answer is B-flat"),
        ("C", "5 C"),
        ("B", "It is caused by Hepatitis B"),
        ("B", "So we need plan B."),
        ("C", "The answer is vitamin C"),
        ("C", "The deficiency is of Vitamin C."),
    ] {
        let verdict = verify(letter, completion, AnswerFormat::Choice).verdict;
        assert!(!verdict.is_correct(), "{completion}: {verdict:?}");
    }
    for (letter, completion) in [
        ("D", "The answer is (D) = 4"),
        ("D", "The answer is D: 4"),
        ("C", "So it is C"),
        ("B", "Hence option B"),
        // Two words are all there is: the second is taken for the choice.
        ("B", "Vitamin B"),
        ("B", "Hepatitis B"),
        ("B", "None of the above. B"),
    ] {
        assert_eq!(verify(letter, completion, AnswerFormat::Choice).verdict, Verdict::Correct, "{completion}");
    }
}

#[test]
fn a_number_in_words_with_and_is_one_number() {
    for (gold, answer) in [
        ("305", r"\text{three hundred and five}"),
        ("120", r"\text{one hundred and twenty}"),
        ("5.5", r"\text{five and a half}"),
    ] {
        let verdict = |gold| verify(gold, &format!(r"So \boxed{{{answer}}}."), AnswerFormat::Math).verdict;
        assert_eq!((verdict(gold), verdict("7")), (Verdict::Correct, Verdict::Incorrect), "{answer}");
    }
}

#[test]
fn a_gold_answer_that_is_none_makes_nobody_right() {
    for gold in ["proof", r"\text{proof}", "Proof", r"\textbf{Proof.}", "not found", r"\text{n/a}"] {
        for completion in [r"\boxed{proof}", r"\boxed{\text{proof}}", r"\boxed{not found}", r"\boxed{\text{n/a}}"] {
            assert_eq!(verify(gold, completion, AnswerFormat::Math).verdict, Verdict::Incorrect, "{gold} {completion}");
        }
    }
}

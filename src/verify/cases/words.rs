//! Words: texts, numbers in words, and words beside a value that change it or do not.

use super::{Case, check_tables};

const TEXTS: &[Case] = &[
    (
        r"\text{Evelyn}",
        &[
            "Evelyn",
            r"\text{evelyn}",
            r"\textbf{Evelyn}",
            r"\mathrm{Evelyn}",
            r"\text{ Evelyn }.",
            r"\text{Evelyn.}",
        ],
        &["Briana", r"\text{Evelyn and Briana}", "Evelyn, Briana", "E", "velyn"],
    ),
    (
        r"\text{even}",
        &["even", "Even", r"\textit{even}"],
        &["odd", r"\text{not even}", "even or odd", "even, odd"],
    ),
    (
        r"\text{(B)}",
        &["B", "(B)", r"\text{B}", r"\mathrm{(B)}", r"\textbf{(B)}"],
        &["A", "AB", "(A), (B)", "B, C", "8"],
    ),
    (r"(\text{H})", &["H", "(H)", r"\text{(H)}"], &["G", "K"]),
    (
        r"\text{October 30}",
        &["October 30", r"\text{30 October}", "October 30th", r"\text{October}\ 30"],
        &["October 31", "November 30", "October"],
    ),
    (
        r"\text{two lines}",
        &["two lines", r"\text{Two Lines}", r"\text{two}\ \text{lines}"],
        &["lines", "two", "one line", "2"],
    ),
    (r"\mbox{four}", &["4", "four", r"\text{four}"], &["5", "five", "14"]),
    ("LQSX", &["LQSX", r"\text{LQSX}"], &["XSQL", "LQS", "LQXS"]),
    (r"\text{CBAD}", &["CBAD"], &["ABCD", "C, B, A, D"]),
    (r"\text{east}", &["east", "East", "EAST"], &["west", "eats", "northeast"]),
    (r"\text{no}", &["no", "No"], &["yes", "on"]),
];

const SHORT_WORDS: &[Case] = &[
    (
        "no",
        &["No", "NO", r"\text{no}", r"\text{No}", "no"],
        &["yes", "on", "n", "not", "o", "none"],
    ),
    ("yes", &["Yes", "YES", r"\text{yes}", r"\text{Yes.}"], &["no", "yess", "y"]),
    (
        "odd",
        &[r"\text{odd}", "Odd", "ODD", r"\mathrm{odd}"],
        &["even", "dod", r"\text{not odd}", "od"],
    ),
    ("even", &["Even", r"\text{even}", "EVEN"], &["odd", r"\text{not even}"]),
    ("red", &["Red", "RED", r"\text{red}", r"\textbf{Red}"], &["blue", "der", "re"]),
    ("blue", &["Blue", "BLUE", r"\text{blue}"], &["red", "blu"]),
    ("xy", &["yx"], &["XY", r"\text{Xy}", "Xy"]),
    ("ab", &["ba"], &["AB", "Ab"]),
    ("abc", &["cba", "bca"], &["ABC", "Abc"]),
    (r"\text{no}", &["No", "NO", "no"], &["yes", "on"]),
    ("true", &["True", "TRUE", r"\text{True}"], &["false"]),
    ("six", &[r"\text{six}", "Six"], &["seven"]),
];

const NUMBER_WORDS: &[Case] = &[
    (
        "7",
        &[
            "7 apples",
            r"7\text{ ways}",
            r"7\text{ times}",
            r"7\text{ two-digit numbers}",
            "seven",
            r"7\text{ units}",
        ],
        &[
            "7 hundred",
            "7 hundreds",
            "7 factorial",
            "7 thousand",
            "7 million",
            "7 dozen",
            "7 squared",
            "7 cubed",
            "7 tens",
            "7 thirds",
            "7 halves",
            "7 tenths",
            r"7\text{ hundred}",
            r"7\text{ pi}",
            "7 million dollars",
            "7 seven",
            "7 twenty",
            "seven hundred",
            "7 and a half",
            "7 eight",
            r"7\text{ factorial}",
            "minus 7",
            "7 over 2",
            "7 percent of 2",
            "7 plus 1",
        ],
    ),
    ("700", &["7 hundred", "seven hundred", r"7\text{ hundred}"], &["7", "7 thousand"]),
    ("5040", &["7!", "7 factorial", r"7\text{ factorial}"], &["7", "5 factorial"]),
    ("49", &["7 squared", "7^2"], &["7 cubed"]),
    ("84", &["7 dozen"], &["7"]),
    (r"\frac73", &["7 thirds", r"7\text{ thirds}"], &["7", "7 halves"]),
    (
        "-6",
        &[
            "negative 6",
            "minus 6",
            "negative six",
            r"\text{negative }6",
            r"\text{minus }6",
            "Negative 6",
        ],
        &["6", "minus 7", "positive 6", "negative 5", "6 minus"],
    ),
    ("6", &["positive 6", "plus 6"], &["negative 6", "minus 6"]),
    ("4", &["6 minus 2"], &["6 plus 2"]),
    ("125", &["one hundred twenty-five"], &["one hundred", "one hundred fifty two", "twenty five"]),
    ("3000000", &["3 million", "three million"], &["3", "3 billion"]),
];

const NUMBERS_WITH_AND: &[Case] = &[
    (
        "305",
        &[r"\text{three hundred and five}", "three hundred and five"],
        &[r"\text{three hundred and six}", "three and five"],
    ),
    (
        "120",
        &[r"\text{one hundred and twenty}", r"\text{a hundred and twenty}"],
        &[r"\text{one hundred}", "twenty"],
    ),
    ("1005", &[r"\text{one thousand and five}"], &[r"\text{one hundred and five}"]),
    ("-305", &[r"\text{minus three hundred and five}"], &["three hundred and five"]),
    (
        "5.5",
        &[r"\text{five and a half}", "five and one half"],
        &[r"\text{five}", r"\text{six and a half}"],
    ),
    (r"\frac{11}{4}", &[r"\text{two and three quarters}"], &[r"\text{two and a quarter}"]),
    ("3, 5", &[r"\text{three and five}"], &["8", r"\text{three and six}"]),
    ("20, 5", &[r"\text{twenty and five}"], &["25"]),
    ("25", &["twenty five"], &[r"\text{twenty and five}"]),
];

const ORDINALS: &[Case] = &[
    (
        "7",
        &["7th", r"7^{\text{th}}", "7^{th}", r"7\text{th}"],
        &["7rd", "8th", "7nd", "7^{t}", "7^{h}", "7t"],
    ),
    ("3", &["3^{rd}", "3rd", r"3^{\text{rd}}"], &["3^{r}", "4th", "3th", "3rd power"]),
    ("21", &["21st"], &["21th", "12th"]),
    ("2", &["2nd"], &["2st", "2d"]),
    ("11", &["11th"], &["11st"]),
    ("112", &["112th"], &["112nd"]),
    ("7th", &["7", r"7^{\text{th}}", "7th"], &["8", "7t"]),
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
    (
        "ABD",
        &["A,B,D", "A, B, D", r"\text{A, B, D}", r"A\text{, }B\text{ and }D"],
        &["A,B", "AB", "A,B,C", "D"],
    ),
    (
        r"\text{no solution}",
        &[r"\emptyset", "no solutions", r"\text{No real solutions}", "无解"],
        &["0", "solution"],
    ),
    (
        r"\emptyset",
        &[r"\text{no solution}", "no solution", r"\text{There are no solutions}"],
        &["0", "none of these"],
    ),
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
        &[
            r"(\pi+k\pi,\ \frac{3\pi}{2}+k\pi),\ k\in\mathbb{Z}",
            r"x\in(n\pi,\ n\pi+\frac{\pi}{2}),\ n\in\mathbb{Z}",
        ],
        &[
            r"(k\pi,\ k\pi+\frac{3\pi}{2}),\ k\in\mathbb{Z}",
            r"[k\pi,\ k\pi+\frac{\pi}{2}],\ k\in\mathbb{Z}",
            r"(\frac{\pi}{2}+k\pi,\ \pi+k\pi),\ k\in\mathbb{Z}",
            r"(2k\pi,\ 2k\pi+\frac{\pi}{2}),\ k\in\mathbb{Z}",
        ],
    ),
];

const ARTICLES: &[Case] = &[
    (
        r"\text{circle}",
        &[r"\text{a circle}", "a circle", r"\text{the circle}"],
        &[r"\text{two circles}", "c"],
    ),
    (r"\text{a circle}", &["circle", r"\text{Circle}"], &[r"\text{an ellipse}"]),
    (
        r"y\text{-axis}",
        &[r"\text{the }y\text{-axis}", r"\text{the y-axis}", "the y-axis", "y-axis"],
        &[r"\text{the }x\text{-axis}", "x-axis", r"y", r"\text{the axis}"],
    ),
    (r"\text{a hundred}", &["100"], &["1"]),
    (r"\text{the}", &[r"\text{the}"], &[r"\text{a}", "x"]),
];

const NAMES_OF_VALUES: &[Case] = &[
    (
        "Area is 5",
        &["Area is 5", "The area of the circle is 5", "5", "The answer is 5"],
        &["Perimeter is 5", "Area is 6"],
    ),
    (r"\text{Perimeter is }5", &["5"], &[r"\text{Area is }5", r"\text{Area}=5", "Area: 5"]),
    ("5", &["Area is 5", "Perimeter is 5", r"\text{Area}: 5"], &["Area is 6"]),
    ("面积是5", &["三角形的面积是5", "5"], &["周长是5"]),
    (r"\text{A is }5", &[r"\text{A is }5"], &[r"\text{B is }5"]),
    ("boys: 3, girls: 5", &["girls: 5, boys: 3"], &["boys: 5, girls: 3"]),
];

const DOUBTS: &[Case] = &[
    ("7", &["7"], &["7?", r"7\text{?}"]),
    (r"\text{A}", &["A"], &[r"\text{A?}"]),
    ("yes", &["Yes."], &["yes?"]),
    (r"\text{Who?}", &[r"\text{Who?}"], &[r"\text{Who}"]),
];

/// One statement in several words.
const STATEMENTS: &[Case] = &[
    (r"\text{DNE}", &[r"\text{does not exist}", "DNE"], &["0", r"\text{exists}"]),
    (r"\text{does not exist}", &[r"\text{DNE}", "DNE"], &["0"]),
    (
        r"\text{yes}",
        &[r"\text{Yes, it is}", r"\text{yes, it does}"],
        &[r"\text{No, it is}", r"\text{Yes, it is not}", r"\text{yes and no}"],
    ),
    (r"\text{no}", &[r"\text{No, it is not}"], &[r"\text{No, it is}", r"\text{no solution}"]),
    (r"\text{diverges}", &[r"\text{divergent}", "divergent"], &[r"\text{convergent}", "converges"]),
    ("diverges", &["divergent"], &["convergent"]),
    (r"6:00\text{ PM}", &[r"6\text{ PM}"], &[r"6\text{ AM}", r"7\text{ PM}", "6"]),
    (r"6\text{ PM}", &[r"6:00\text{ PM}"], &[r"6:05\text{ PM}", r"6:00\text{ AM}"]),
];

#[test]
fn words_are_judged_as_the_tables_say() {
    check_tables(&[
        ("one statement in several words", STATEMENTS),
        ("question marks", DOUBTS),
        ("names of values in words", NAMES_OF_VALUES),
        ("articles", ARTICLES),
        ("texts", TEXTS),
        ("short words", SHORT_WORDS),
        ("words that change a number", NUMBER_WORDS),
        ("numbers with and", NUMBERS_WITH_AND),
        ("ordinals", ORDINALS),
        ("words that alter a value or not", ALTERED),
        ("words", WORDS),
    ]);
}

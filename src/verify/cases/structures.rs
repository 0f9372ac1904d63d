//! What is made of several values: tuples, intervals, sets, lists, matrices, vectors, families.

use super::{Case, check_tables};

const TUPLES_AND_INTERVALS: &[Case] = &[
    (
        r"\left(3,\frac{\pi}{2}\right)",
        &[
            r"(3, \frac{\pi}{2})",
            r"(3,\pi/2)",
            r"\left( 3 , 0.5\pi \right)",
            r"\bigl(3,\tfrac{\pi}{2}\bigr)",
            r"(r,\theta)=(3,\frac{\pi}{2})",
        ],
        &[
            r"(\frac{\pi}{2},3)",
            r"[3,\frac{\pi}{2}]",
            "3",
            r"(3,\frac{\pi}{2},0)",
            r"\{3,\frac{\pi}{2}\}",
        ],
    ),
    (
        "(2,1)",
        &["(2, 1)", "(2.0,1)", r"\langle 2,1\rangle", "2, 1"],
        &["(1,2)", "[2,1]", "(2,1]", "2", "1", r"\{2,1\}", "(2,1,0)", "21", "1, 2"],
    ),
    (
        "[0,1]",
        &["[0, 1]", r"\left[0,1\right]", r"x\in[0,1]", r"[0,\frac22]"],
        &["(0,1)", "(0,1]", "[0,1)", r"\{0,1\}", "0,1", r"0\le x\le1"],
    ),
    ("[2,5)", &["[2, 5)", r"x \in [2,5)"], &["(2,5)", "[2,5]", "2", "[5,2)", r"2\leq x<5"]),
    (
        r"(-\infty,3)",
        &[r"(-\infty, 3)", r"\left(-\infty,3\right)", "(-∞,3)", r"[-\infty,3)"],
        &[r"(-\infty,3]", r"(3,\infty)", "x<3", "3"],
    ),
    (
        r"(-\infty,2)\cup(3,\infty)",
        &[
            r"(3,\infty)\cup(-\infty,2)",
            r"\left(-\infty,2\right) \cup \left(3,\infty\right)",
            r"(-∞,2)∪(3,∞)",
            r"x\in(-\infty,2)\cup(3,\infty)",
        ],
        &[
            r"(-\infty,2]\cup(3,\infty)",
            r"(-\infty,2)",
            r"(2,3)",
            r"x<2\text{ or }x>3",
            r"(-\infty,2),(3,\infty)",
            r"(-\infty,3)\cup(2,\infty)",
        ],
    ),
    (
        r"(-\infty,-8)\cup(-8,\infty)",
        &[r"\mathbb{R}\setminus\{-8\}", r"\mathbb R \setminus \{-8\}"],
        &[r"\mathbb{R}", r"x\neq-8", r"\mathbb{R}\setminus\{8\}"],
    ),
    (r"(-\infty,\infty)", &[r"\mathbb{R}", r"x\in\mathbb R"], &[r"(0,\infty)", "x"]),
    ("(0,5)\\cup(5,\\infty)", &[r"(0,\infty)\setminus\{5\}"], &[r"(0,\infty)"]),
    (r"[1,3]\cup[2,5]", &["[1,5]"], &["[1,4]", r"[1,3]\cup[3,4]"]),
    ("(0,9)\\cup(9,36)", &[r"(9,36) \cup (0,9)"], &["(0,36)", r"(0,9]\cup(9,36)"]),
    ("(6,235^\\circ)", &["(6,235)", r"(6, 235^{\circ})"], &["(235,6)", "(6,236)"]),
];

const SETS_AND_LISTS: &[Case] = &[
    (
        "1,2",
        &[
            "2, 1",
            "1, 2",
            r"\{1,2\}",
            r"1\text{ and }2",
            "1 and 2",
            r"1 \text{ or } 2",
            "1;2",
            r"x=1, x=2",
        ],
        &["1", "2", "1,2,3", "1,3", "12", "3", "1,1", "(1,2,3)"],
    ),
    (
        r"\{4,5,7\}",
        &[r"\{7,5,4\}", r"\left\{4,5,7\right\}", "4,5,7", r"\{4,5,7,7\}", "{4,5,7}"],
        &[r"\{4,5\}", r"\{4,5,8\}", r"\{4,5,7,9\}", "(4,5,7)", "457", "16"],
    ),
    (
        "-11, -1, 1, 11",
        &["11,1,-1,-11", r"\pm1,\pm11", r"\pm 11, \pm 1"],
        &["-11,-1,1", "1,11", "-11,-1,1,12"],
    ),
    (
        r"1\pm\sqrt{19}",
        &[
            r"1+\sqrt{19},1-\sqrt{19}",
            r"1-\sqrt{19}, 1+\sqrt{19}",
            r"1\pm \sqrt {19}",
            r"\{1+\sqrt{19},1-\sqrt{19}\}",
            r"x=1\pm\sqrt{19}",
        ],
        &[r"1+\sqrt{19}", r"1-\sqrt{19}", r"1\pm\sqrt{18}", r"\pm\sqrt{19}", r"1, \sqrt{19}"],
    ),
    (
        r"\{1\pm\sqrt{5},-2\}",
        &[r"\{-2,1+\sqrt5,1-\sqrt5\}", r"-2,1\pm\sqrt5"],
        &[r"\{1+\sqrt5,-2\}", r"-2"],
    ),
    ("1,1,-2", &["-2,1,1"], &["1,-2", "1,-2,-2"]),
    (r"2,3,\text{ and }4", &["2,3,4", "4, 3 and 2"], &["2,3", "2,3,5"]),
    (r"-12 \text{ or } -30", &["-30,-12", "-12, -30"], &["-12", "-30", "-42"]),
    (
        "(-4,27);(2,15)",
        &["(2,15),(-4,27)", r"(-4,27)\text{ and }(2,15)"],
        &["(27,-4),(2,15)", "(2,15)"],
    ),
    (r"\emptyset", &[r"\varnothing", r"\{\}", "∅"], &["0", r"\{0\}"]),
    (
        "5",
        &[r"\{5\}"],
        &[
            "5,5",
            "5,6",
            "4,5,6",
            "1,2,3,4,5,6,7,8,9",
            r"5\text{ or }6",
            r"\{5,6\}",
            "5 and 6",
            "5; 6",
            r"\pm5",
        ],
    ),
    (
        r"\text{A, B}",
        &["A, B", r"\text{B},\text{A}", "B and A", r"\text{A,B}"],
        &["A", "B", "A, C", "A,B,C", "AB"],
    ),
    (
        r"\text{Softball, Kickball, Picnic}",
        &["Softball, Kickball, Picnic", r"\text{softball, kickball, picnic}"],
        &["Picnic, Kickball, Softball", "Softball"],
    ),
    ("AB=9, CD=4", &["CD=4, AB=9", r"AB = 9,\; CD = 4"], &["AB=4, CD=9", "AB=9"]),
    (r"-1, \; -5", &["-5,-1"], &["-1", "1,5"]),
];

const TWICE: &[Case] = &[
    (
        r"\frac25",
        &[
            r"\frac25 \text{ or } 0.4",
            r"0.4\text{ or }\frac25",
            r"\frac25\ (\text{that is, } 40\%)",
            r"\frac25 (\text{or } 0.4)",
            r"\frac25\text{ or equivalently }0.4",
            r"\frac{2}{5} (=0.4)",
            r"\frac25, \text{ i.e. } 0.4",
            r"\frac25\text{, that is, }0.4",
            r"\frac25\text{ which is }0.4",
            r"\frac25=0.4=40\%",
            r"x=\frac25\text{ or }x=0.4",
            r"40\%\text{ or }0.4",
        ],
        &[
            r"2\text{ or }0.4",
            r"\frac25\text{ or }0.5",
            r"\frac25, 0.4",
            r"\frac25\text{ and }0.4",
            r"\frac25 (\text{that is, } 50\%)",
            r"\frac25 (=0.5)",
            r"\frac25\text{ or }\frac35",
            r"\frac35 (\text{not }\frac25)",
        ],
    ),
    ("2", &["2 (two)", "two"], &["2 (three)", "3 (two)", "2 two"]),
    (
        "8",
        &["8 (eight)", r"8\ (\text{eight})", "8 or eight"],
        &["8 (seven)", "7 (eight)", "8 or 9", "8(8)", "8 (nine)", "8 or 8 or 9", "8, 8"],
    ),
    ("3", &["x=3 or x=3.0"], &["x=3 or 5", "3 or 5", "x=3 or x=5", r"3\text{ or }-3"]),
    (
        r"\frac25 \text{ or } 0.4",
        &["0.4", r"\frac25", r"\frac25\text{ or }0.4", r"40\%"],
        &["0.5", "2"],
    ),
    (
        r"3\text{ or }5",
        &["3,5", "5 or 3", r"\{3,5\}", "x=3 or x=5"],
        &["3", "5", "3 or 3", "3 or 5 or 7"],
    ),
    ("15", &[r"15\ (\text{cm})"], &[r"16 (\text{cm})"]),
];

const MATRICES: &[Case] = &[
    (
        r"\begin{pmatrix}1&2\\3&4\end{pmatrix}",
        &[
            r"\begin{bmatrix}1&2\\3&4\end{bmatrix}",
            r"\begin{pmatrix} 1 & 2 \\ 3 & 4 \end{pmatrix}",
            r"\left[\begin{array}{cc}1&2\\3&4\end{array}\right]",
            "[[1,2],[3,4]]",
            r"\begin{pmatrix}1&2\\3&\frac82\\\end{pmatrix}",
            r"\frac12\begin{pmatrix}2&4\\6&8\end{pmatrix}",
            r"A=\begin{pmatrix}1&2\\3&4\end{pmatrix}",
        ],
        &[
            r"\begin{pmatrix}1&3\\2&4\end{pmatrix}",
            r"\begin{pmatrix}1&2\end{pmatrix}",
            "1,2,3,4",
            r"\begin{pmatrix}1&2\\3&5\end{pmatrix}",
            "10",
            r"\begin{vmatrix}1&2\\3&4\end{vmatrix}",
            r"\begin{pmatrix}1&2\\3\end{pmatrix}",
        ],
    ),
    (
        r"\begin{pmatrix}-1\\3\\2\end{pmatrix}",
        &[
            "(-1,3,2)",
            r"\langle-1,3,2\rangle",
            r"\begin{bmatrix}-1\\3\\2\end{bmatrix}",
            r"\begin{pmatrix} -1 \\ 3 \\ 2 \end{pmatrix}.",
        ],
        &[
            "(3,-1,2)",
            r"\begin{pmatrix}-1&3&2\end{pmatrix}",
            r"\begin{pmatrix}-1\\3\end{pmatrix}",
            "-1,3",
        ],
    ),
    (
        r"\begin{pmatrix} 1 & -1 \\ 1 & \phantom -1 \end{pmatrix}",
        &[r"\begin{pmatrix}1&-1\\1&1\end{pmatrix}"],
        &[r"\begin{pmatrix}1&-1\\1&-1\end{pmatrix}"],
    ),
    (
        r"\begin{pmatrix}\sqrt2/2\\0\end{pmatrix}",
        &[r"\begin{pmatrix}\frac{1}{\sqrt2}\\0\end{pmatrix}"],
        &[r"\begin{pmatrix}0\\\sqrt2/2\end{pmatrix}"],
    ),
];

const VECTORS: &[Case] = &[
    (
        r"\begin{pmatrix}2\\-5\end{pmatrix}",
        &[
            r"2\mathbf{i}-5\mathbf{j}",
            r"2\hat{i}-5\hat{j}",
            r"2\vec{i}-5\vec{j}",
            r"2\hat{\imath}-5\hat{\jmath}",
            "2i-5j",
            "(2,-5)",
            r"\langle 2,-5\rangle",
            r"-5\mathbf{j}+2\mathbf{i}",
            r"\begin{pmatrix}2&-5\end{pmatrix}^T",
            "(2,-5)^T",
        ],
        &[
            r"2\mathbf{i}+5\mathbf{j}",
            r"-5\mathbf{i}+2\mathbf{j}",
            r"2\mathbf{i}",
            r"2\mathbf{i}-5\mathbf{j}+\mathbf{k}",
            "2i-5",
            r"2\mathbf{i}-5\mathbf{k}",
            "-3",
            r"\begin{pmatrix}2&-5\end{pmatrix}",
        ],
    ),
    (
        "(1,-2,3)",
        &[r"\mathbf{i}-2\mathbf{j}+3\mathbf{k}", r"\hat{i}-2\hat{j}+3\hat{k}", "A(1,-2,3)"],
        &[r"\mathbf{i}-2\mathbf{j}", r"\mathbf{i}+2\mathbf{j}+3\mathbf{k}", "A(1,-2)"],
    ),
    (
        r"2\mathbf{i}-5\mathbf{j}",
        &[r"\begin{pmatrix}2\\-5\end{pmatrix}", "(2,-5)", r"\langle2,-5\rangle"],
        &[r"\begin{pmatrix}-5\\2\end{pmatrix}", "(-5,2)", "-3"],
    ),
    ("2-5i", &["-5i+2"], &["(2,-5)", r"\begin{pmatrix}2\\-5\end{pmatrix}", "2-5j"]),
    (
        "(2,-5)",
        &["A(2,-5)", "A=(2,-5)", r"P\left(2,-5\right)", "M(2, -5)", "P_1(2,-5)", r"\vec{v}=(2,-5)"],
        &["A(-5,2)", "(-5,2)", "A(2,5)", "A", "A(2)", "A(2,-5,0)", "f(2,-5)", "B(2,-5),C(1,1)"],
    ),
    ("A(2,-5)", &["(2,-5)", "A(2,-5)"], &["A(-5,2)", "(2,5)"]),
    ("(1,2),(3,4)", &["A(1,2), B(3,4)", "(3,4),(1,2)"], &["A(1,2)", "A(1,2),B(4,3)"]),
];

const SYSTEMS: &[Case] = &[
    (
        "(4,-1)",
        &[
            r"\begin{cases}x=4\\y=-1\end{cases}",
            r"\begin{cases} x = 4, \\ y = -1 \end{cases}",
            r"\left\{\begin{array}{l}x=4\\y=-1\end{array}\right.",
            r"\left\{ x=4, y=-1 \right.",
            r"\begin{cases}y=-1\\x=4\end{cases}",
            r"\begin{cases}x&=4\\y&=-1\end{cases}",
            r"x=4,\ y=-1",
            r"\begin{aligned}x&=4\\y&=-1\end{aligned}",
            r"\left\{\begin{matrix}x=4\\y=-1\end{matrix}\right.",
        ],
        &[
            r"\begin{cases}x=-1\\y=4\end{cases}",
            r"\begin{cases}x=4\\y=1\end{cases}",
            r"\begin{cases}x=4\end{cases}",
            "x=4",
            r"\begin{cases}x=4\\y=-1\\z=0\end{cases}",
            r"\begin{cases}x+y=3\\x-y=5\end{cases}",
        ],
    ),
    (
        r"\left\{ x = 1, y = 2 \right.",
        &["(1,2)", "x=1, y=2", r"\begin{cases}x=1\\y=2\end{cases}"],
        &["(2,1)", "x=2, y=1", "1"],
    ),
    (
        r"\begin{cases}x=4\\y=-1\end{cases}",
        &["(4,-1)", "x=4, y=-1", "y=-1, x=4"],
        &["(-1,4)", "x=-1, y=4", "x=4"],
    ),
    (
        r"\begin{cases} x & x>0 \\ -x & x\le 0\end{cases}",
        &[r"\begin{cases}x & x>0 \\ -x & x\leq 0\end{cases}"],
        &[r"\begin{cases} -x & x>0 \\ x & x\le 0\end{cases}", "x"],
    ),
];

const FAMILIES: &[Case] = &[
    (
        r"\frac{\pi}{4}+k\pi",
        &[
            r"\frac{\pi}{4}+k\pi,\ k\in\mathbb{Z}",
            r"\frac{\pi}{4}+n\pi,\ n\in\mathbb{Z}",
            r"\frac{\pi}{4}+k\pi\ (k\in\mathbb{Z})",
            r"\frac{\pi}{4}+k\pi, k\in Z",
            r"\frac{\pi}{4}+k\pi\text{, where }k\in\mathbb{Z}",
            r"\frac{\pi}{4}+k\pi\text{ for }k\in\mathbb{Z}",
            r"\frac{\pi}{4}+k\pi,\text{ where }k\text{ is an integer}",
            r"\frac{\pi}{4}+n\pi\text{ for any integer }n",
            r"x=\frac{\pi}{4}+k\pi, k\in\mathbb{Z}",
            r"\frac{\pi}{4}+k\pi, k = 0, \pm 1, \pm 2, \ldots",
            r"\frac{5\pi}{4}+k\pi, k\in\mathbb{Z}",
            r"\frac{\pi}{4}-k\pi, k\in\mathbb{Z}",
        ],
        &[
            r"\frac{\pi}{4}+2k\pi, k\in\mathbb{Z}",
            r"\frac{\pi}{3}+k\pi,\ k\in\mathbb{Z}",
            r"\frac{\pi}{4}+n\pi",
            r"\frac{\pi}{4}",
            r"\frac{\pi}{4}, k\in\mathbb{Z}",
            r"k\pi, k\in\mathbb{Z}",
            r"\frac{\pi}{4}+kn\pi, n\in\mathbb{Z}",
        ],
    ),
    (
        r"\frac{\pi}{4}+k\pi,\ k\in\mathbb{Z}",
        &[
            r"\frac{\pi}{4}+n\pi,\ n\in\mathbb{Z}",
            r"x=\frac{\pi}{4}+k\pi,\ k\in\mathbb{Z}",
            r"\frac{\pi}{4}+k\pi",
        ],
        &[
            r"\frac{\pi}{4}+k\pi,\ k\in\mathbb{N}",
            r"\frac{\pi}{4}",
            r"\frac{\pi}{4}+\frac{k\pi}{2},\ k\in\mathbb{Z}",
        ],
    ),
    (
        r"x=2k\pi\pm\frac{\pi}{3}, k\in\mathbb{Z}",
        &[
            r"\pm\frac{\pi}{3}+2k\pi, k\in\mathbb{Z}",
            r"2n\pi+\frac{\pi}{3}, 2n\pi-\frac{\pi}{3}, n\in\mathbb{Z}",
        ],
        &[r"2k\pi+\frac{\pi}{3}, k\in\mathbb{Z}", r"k\pi\pm\frac{\pi}{3}, k\in\mathbb{Z}"],
    ),
    (
        "2n+1",
        &[
            r"2n+1, n\in\mathbb{N}",
            r"2k+1, k\in\mathbb{N}",
            r"2n+1\text{ for all positive integers }n",
        ],
        &[r"2n, n\in\mathbb{N}", "2k+1"],
    ),
    ("k^2", &[r"k^2, k\in\mathbb{Z}", r"n^2, n\in\mathbb{Z}"], &[r"2k^2, k\in\mathbb{Z}", "n^2"]),
    // Only the answer declares the letter: the formula is asked for.
    (
        "3n+1",
        &[
            r"3n+1, n\in\mathbb{Z}",
            r"3k+1, k\in\mathbb{Z}",
            r"1+3n, n\in\mathbb{Z}",
            r"3n+1\text{ for all integers }n",
        ],
        &[r"3n+4, n\in\mathbb{Z}", r"-3n+1, n\in\mathbb{Z}", r"3k-2, k\in\mathbb{Z}", r"3n+4"],
    ),
    (
        "2k",
        &[r"2k, k\in\mathbb{Z}", r"k+k, k\in\mathbb{Z}"],
        &[r"2k+2, k\in\mathbb{Z}", r"-2k, k\in\mathbb{Z}"],
    ),
    (
        "n, n+2",
        &[r"n, n+2, n\in\mathbb{Z}"],
        &[r"n, n+1, n\in\mathbb{Z}", r"n+1, n+3, n\in\mathbb{Z}"],
    ),
    (
        r"3n+1, n\in\mathbb{Z}",
        &[r"3n+4, n\in\mathbb{Z}", r"-3k+1, k\in\mathbb{Z}", "3n+1"],
        &[r"3n+2, n\in\mathbb{Z}", r"6n+1, n\in\mathbb{Z}", r"3n+4, n\in\mathbb{N}"],
    ),
    (
        r"\frac{k\pi}{2}",
        &[r"\frac{k\pi}{2}+\pi, k\in\mathbb{Z}"],
        &[r"k\pi, k\in\mathbb{Z}", r"\frac{k\pi}{2}+1, k\in\mathbb{Z}"],
    ),
    (r"\pi+2k", &[r"2k+\pi, k\in\mathbb{Z}"], &[r"\pi+2k+2, k\in\mathbb{Z}"]),
];

const MODULAR: &[Case] = &[
    (
        r"x\equiv 4\pmod 9",
        &[
            r"4 \pmod 9",
            r"x\equiv 4\pmod{9}",
            r"x \equiv 13 \pmod 9",
            r"x\equiv -5\pmod 9",
            r"x\equiv 4\ (\mathrm{mod}\ 9)",
            r"4 \bmod 9",
            "x≡4 (mod 9)",
            r"x \equiv 4 \mod 9",
        ],
        &[
            r"x\equiv 5\pmod 9",
            r"x\equiv 4\pmod 8",
            r"4 \pmod 8",
            r"5\pmod9",
            r"y\equiv 4\pmod 9",
            "4",
            "9",
            r"x\equiv 4,5\pmod 9",
            "x=9",
        ],
    ),
    (
        "4",
        &[r"x\equiv 4\pmod 9", r"4\pmod 9", r"4 \pmod{9}", r"n\equiv 4 \bmod 9", "4 (mod 9)"],
        &[r"x\equiv 5\pmod 9", r"x\equiv 9\pmod 4", r"x\equiv 13\pmod 9", r"5 \pmod 4"],
    ),
    (
        r"x\equiv 1,4\pmod 5",
        &[r"x\equiv 4,1\pmod 5", r"x\equiv 1\pmod 5, x\equiv 4\pmod 5"],
        &[r"x\equiv 1\pmod 5", r"x\equiv 1,3\pmod 5"],
    ),
    (
        r"x \equiv \pm 2 \pmod 7",
        &[r"x\equiv 2,5\pmod 7"],
        &[r"x\equiv 2\pmod 7", r"x\equiv 2,4\pmod 7"],
    ),
];

const CASES_IN_ANY_ORDER: &[Case] = &[
    (
        r"f(x)=\begin{cases}1 & x>0\\0 & x\le 0\end{cases}",
        &[
            r"\begin{cases}0 & x\le 0\\1 & x>0\end{cases}",
            r"\begin{cases}0, & 0\ge x\\1, & x>0\end{cases}",
            r"\begin{cases}0 & \text{if }x\le 0\\1 & \text{if }x>0\end{cases}",
        ],
        &[
            r"\begin{cases}1 & x\le 0\\0 & x>0\end{cases}",
            r"\begin{cases}0 & x\le 0\\0 & x>0\end{cases}",
        ],
    ),
    (
        r"\begin{cases}x & x>0\\-x & \text{otherwise}\end{cases}",
        &[r"\begin{cases}-x & \text{otherwise}\\x & x>0\end{cases}"],
        &[r"\begin{cases}x & \text{otherwise}\\-x & x>0\end{cases}"],
    ),
    (
        r"\begin{cases}1 & n\text{ even}\\0 & n\text{ odd}\end{cases}",
        &[r"\begin{cases}0 & n\text{ odd}\\1 & n\text{ even}\end{cases}"],
        &[r"\begin{cases}1 & n\text{ odd}\\0 & n\text{ even}\end{cases}"],
    ),
    (
        r"\begin{cases}x+y=1\\x-y=2\end{cases}",
        &[r"\begin{cases}x-y=2\\x+y=1\end{cases}"],
        &[r"\begin{cases}x-y=1\\x+y=2\end{cases}"],
    ),
];

/// Values of different names, and their values alone: these keep the order of the names.
const NAMED_VALUES: &[Case] = &[
    ("x=1,y=2", &["1,2", "(1,2)", "y=2,x=1"], &["2,1", "(2,1)", r"\{1,2\}", r"\{2,1\}", "x=2,y=1"]),
    ("a=1,b=2,c=3", &["1,2,3"], &["3,2,1", r"\{3,2,1\}"]),
    (r"\begin{cases}x=1\\y=2\end{cases}", &["1,2"], &["2,1"]),
    (r"A=30^\circ, B=60^\circ", &[r"30^\circ, 60^\circ"], &[r"60^\circ, 30^\circ"]),
    (r"x=1\text{ and }y=2", &["1,2", r"1\text{ and }2"], &["2,1", r"2\text{ and }1"]),
    ("f(1)=2, f(2)=3", &["2,3"], &["3,2"]),
    ("2,1", &["2,1", "1,2", "x=2,y=1"], &["x=1,y=2"]),
    // One unknown, with two values.
    ("x=1,x=2", &["2,1", r"\{2,1\}"], &["2,3"]),
    ("x_1=1,x_2=2", &["2,1", r"\{2,1\}"], &["2,3"]),
];

#[test]
fn structures_are_judged_as_the_tables_say() {
    check_tables(&[
        ("values of different names", NAMED_VALUES),
        ("cases in another order", CASES_IN_ANY_ORDER),
        ("tuples and intervals", TUPLES_AND_INTERVALS),
        ("sets and lists", SETS_AND_LISTS),
        ("the same value twice", TWICE),
        ("matrices", MATRICES),
        ("unit vectors and labels of points", VECTORS),
        ("systems", SYSTEMS),
        ("families", FAMILIES),
        ("modular answers", MODULAR),
    ]);
}

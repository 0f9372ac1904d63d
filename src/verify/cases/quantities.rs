//! Numbers with units, percents, degrees, ratios and times.

use super::{Case, check_tables};

const UNITS: &[Case] = &[
    (
        r"10\text{ cm}",
        &[
            "10",
            "10 cm",
            r"10\,\mathrm{cm}",
            r"10\text{ centimeters}",
            r"10\mbox{cm}",
            r"0.1\text{ m}",
            r"100\text{ mm}",
        ],
        &[
            "11",
            r"10\text{ m}",
            r"10\text{ inches}",
            r"10\text{ cm}^2",
            r"100\text{ cm}",
            r"10\text{ kg}",
            "10%",
        ],
    ),
    (
        "10",
        &[r"10\text{ cm}", "10 cm", r"10\text{ apples}", r"10\text{ ways.}", "10 dollars"],
        &[r"11\text{ cm}"],
    ),
    (
        r"15\mbox{ cm}^2",
        &[
            "15",
            r"15\text{ cm}^2",
            r"15\text{ square centimeters}",
            r"15\,\text{cm}^{2}",
            r"15\text{ sq cm}",
        ],
        &[r"15\text{ cm}", r"15\text{ cm}^3", "225"],
    ),
    (
        r"480 + 480\sqrt{3}\text{ feet}",
        &[r"480+480\sqrt3", r"480(1+\sqrt3)\text{ ft}"],
        &["480", r"480+480\sqrt3\text{ inches}"],
    ),
    (
        r"\$18.90",
        &[
            "18.90",
            "18.9",
            r"\$18.9",
            "$18.90",
            r"18.90\text{ dollars}",
            r"\$18.90\text{ USD}",
            r"1890\text{ cents}",
        ],
        &["18.8", "1890", r"18.90\text{ cents}", r"\$19", "€18.90"],
    ),
    (r"\$32,\!348", &["32348", r"\$32,348", "32,348"], &["32", "348", r"\$32,349"]),
    (r"1.85\ \text{USD}", &[r"\$1.85", "1.85"], &["1.86"]),
    (r"80\text{ cents}", &["80", r"\$0.80", r"0.8\text{ dollars}"], &["0.8", r"\$80"]),
    (r"\approx 8.24 \text{ mph}", &["8.24", r"8.24\text{ mph}", r"\approx 8.24"], &["8.25", "8"]),
    (r"7\text{ hours}.", &["7", r"420\text{ minutes}", r"7\text{ h}"], &[r"7\text{ days}", "420"]),
    (
        r"14 \text{ right triangles}",
        &["14", r"14\text{ triangles}"],
        &["15", r"15\text{ right triangles}"],
    ),
    (r"2\text{ miles}", &["2", "2 miles", r"2 \text{ mi}"], &[r"2\text{ km}", "3"]),
];

const UNITS_IN_SIGNS: &[Case] = &[
    (
        "9",
        &[
            r"9\ \mathrm{N}",
            r"9\,\mathrm{s}",
            r"9\mathrm{m}",
            r"9~\mathrm{~m}",
            r"9\,\mathrm{m/s}",
            r"9 \mathrm{~m} / \mathrm{s}",
            r"9\,\mathrm{m}^2",
            r"9\ \mathrm{cm}^{3}",
            r"9\mathrm{~kg}\cdot\mathrm{m}/\mathrm{s}^2",
            "9m²",
            "9 m²",
            "9 cm²",
            "9 cm^2",
            "9m^3",
            "9 km/h",
            "9 m/s",
            "9 m/s^2",
            "9km",
            "9 kg",
            "9 m",
            "9 L",
            "9 N",
            r"9\text{ m}^2",
            "9平方米",
            "9 平方厘米",
            "9米",
            "9厘米",
            "9元",
            "9个",
            "9小时",
            "9°C",
            r"9^\circ\mathrm{C}",
            "9 см",
            r"9\ \mathrm{mol}",
        ],
        &[
            "9x",
            "9n",
            "9t",
            "9k",
            "9mn",
            "9 hundred",
            "9m+1",
            r"9\mathrm{i}",
            r"9\mathrm{e}",
            "9百",
            "9万",
            "9千",
            "9万元",
            "8 m",
            "8m²",
            "90 m",
            "m",
            "9/m",
            "9^2",
        ],
    ),
    (
        "0.4",
        &[
            r"v=\frac25 \mathrm{~m} / \mathrm{s}",
            r"\frac25\,\mathrm{m/s}",
            r"0.4\ \mathrm{m}",
            r"\frac{2}{5}\mathrm{m}",
        ],
        &[r"v=\frac35 \mathrm{~m} / \mathrm{s}", r"\frac25\mathrm{e}"],
    ),
    (
        r"9\text{ m}",
        &[
            "9",
            "9 m",
            "9m",
            r"9\,\mathrm{m}",
            "9米",
            r"900\text{ cm}",
            "900 cm",
            r"9\text{ meters}",
        ],
        &[
            "9 km",
            r"9\,\mathrm{km}",
            "9 cm",
            "9 m²",
            "9 m/s",
            "9 s",
            "9千米",
            "9n",
            r"0.9\text{ m}",
        ],
    ),
    (
        r"9\text{ m/s}",
        &[
            "9",
            "9 m/s",
            r"9\ \mathrm{m/s}",
            r"9\text{ meters per second}",
            r"32.4\text{ km/h}",
            "32.4 km/h",
            r"9\,\mathrm{m}\cdot\mathrm{s}^{-1}",
        ],
        &["9 km/h", r"9\text{ m}", r"9\text{ m/s}^2", "9 cm/s", "9 mph"],
    ),
    (
        r"9\text{ cm}^2",
        &["9", "9cm²", r"9\text{ square centimeters}", "9平方厘米", r"900\text{ mm}^2"],
        &["9平方米", "9 cm", "9m²", "9立方厘米"],
    ),
    ("30000", &["3万", "3万元", "30 thousand"], &["3", "3千", "3亿"]),
    ("9m", &["9m", r"9\cdot m"], &["9", "9n", "9M"]),
    ("3A", &["3A"], &["3"]),
    ("2ap", &["2pa"], &["2"]),
    ("R^2+2Rr+r^2", &["(R+r)^2", "R^2+r^2+2rR"], &["R^2+2+r^2"]),
    ("2", &[], &["2Rr", "2hR", "2pa", "2nP"]),
    ("20", &[r"20^\circ\text{C}", "20 ℃"], &["21℃"]),
];

const LETTERS_AS_UNITS: &[Case] = &[
    (
        "9",
        &["9 m", "9 g", "9 s", "9 N", "9 J"],
        &["9x", "9 x", "9k", "9n", "9a", "9t", "9h", "9y", "9i", "9e"],
    ),
    ("9x", &["9x"], &["9x m", "9xm", "9mx", "9 m", "9"]),
    ("9i", &["9i"], &["9i m", "9im", "9 m", "9"]),
    ("2e", &["2e"], &["2e m", "2es", "2 m"]),
    (r"9\pi", &[r"9\pi m", r"9\pi\text{ m}"], &[r"9\pi k", r"9\pi x", "9 m"]),
    ("m", &["m"], &["m g", "1 s", "1"]),
];

const GOLD_UNITS: &[Case] = &[
    (
        "9 m",
        &[r"9\text{ m}", r"9\,\mathrm{m}", r"900\text{ cm}"],
        &[r"9\text{ s}", r"9\text{ cm}", "9x", "9"],
    ),
    ("20 N", &[r"20\,\mathrm{N}", r"20\text{ newtons}"], &[r"20\text{ J}", "20 J"]),
    (
        "9 m/s",
        &[r"9\text{ m/s}", r"9\,\mathrm{m/s}", r"32.4\text{ km/h}"],
        &[r"9\text{ m}", r"9\text{ km/h}"],
    ),
    ("12 V", &[r"12\text{ V}", r"12\,\mathrm{V}"], &[r"12\text{ A}", r"13\text{ V}"]),
    (r"12\text{ V}", &["12 V", "12"], &["12 A", "12x"]),
    (
        r"5\,\mathrm{\Omega}",
        &[r"5\ \Omega", "5 Ω", "5", r"5\text{ ohms}"],
        &["6", r"5\text{ V}", r"6\ \Omega"],
    ),
    ("5 Ω", &[r"5\ \Omega", "5", r"5\text{ Ω}"], &["6", "Ω"]),
    (r"5\text{ V}", &["5"], &[r"5\text{ \Omega}", "5 Ω"]),
    ("9x", &["9x"], &[r"9\text{ x}", r"9\text{ m}"]),
];

const QUANTITIES: &[Case] = &[
    (
        r"20^\circ C",
        &["20", r"20^\circ\text{C}", "20℃", "20°C", r"20^\circ"],
        &[r"20^\circ F", "20℉", r"21^\circ C"],
    ),
    (r"-5^\circ\text{C}", &["-5", r"-5^\circ C"], &["5"]),
    (
        "20℉",
        &[r"20^\circ\mathrm{F}", r"20\text{ degrees Fahrenheit}"],
        &["20℃", r"20\text{ degrees Celsius}"],
    ),
    (
        r"5\text{ kN}",
        &["5", r"5000\text{ N}", r"5\,\mathrm{kN}", r"5\text{ kilonewtons}"],
        &[r"5\text{ N}", "5000"],
    ),
    (r"5\text{ MW}", &[r"5000\text{ kW}"], &[r"5\text{ mW}", r"5\text{ W}", r"5\text{ kW}"]),
    (r"5\mathrm{mA}", &[r"0.005\,\mathrm{A}"], &[r"5\,\mathrm{A}"]),
    (r"5\text{ MHz}", &[r"5000000\text{ Hz}"], &[r"5\text{ Hz}", r"5\text{ kHz}"]),
    (r"5\text{ nm}", &["5"], &[r"5\text{ m}", r"5\text{ mm}"]),
    (r"5\text{ kPa}", &["5"], &[r"5\text{ Pa}"]),
    (r"5\text{ kV}", &["5"], &[r"5\text{ V}"]),
    (r"5\text{ eV}", &["5"], &[r"5\text{ J}", r"5\text{ keV}"]),
    (
        r"3\text{ hours before}",
        &["3", r"3\text{ hours}", r"3\text{ hours earlier}"],
        &[r"3\text{ hours after}"],
    ),
    (
        r"2\text{ days before Monday}",
        &[r"2\text{ days before Monday}"],
        &[r"2\text{ days after Monday}"],
    ),
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
    (
        "3 boys, 5 girls",
        &["3 boys, 5 girls", "5 girls, 3 boys", "3, 5"],
        &["5 boys, 3 girls", "3 girls, 5 boys"],
    ),
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
    (
        "5",
        &["5 apples"],
        &[r"5\text{ at most}", r"5\text{ at least}", r"5\text{ excluded}", r"5\text{ minimum}"],
    ),
    (
        "5",
        &[r"\text{Therefore, the answer is }5", r"\text{Answer: }5", r"\text{The answer is }5"],
        &[r"\text{Answer: }6"],
    ),
    (r"5\text{ atm}", &["5", r"506625\text{ Pa}"], &[r"5\text{ Pa}", r"5\text{ mmHg}"]),
    (r"12\text{ noon}", &["12"], &[r"12\text{ midnight}"]),
    (
        r"5\text{ m/s}",
        &["5", r"5\text{ ms}^{-1}", r"5\text{ m s}^{-1}"],
        &[r"5\text{ ms}", r"5\text{ ms}^{-2}"],
    ),
    (r"5\text{ km north}", &["5"], &[r"5\text{ km south}"]),
    (r"5\%\text{ increase}", &[r"5\%"], &[r"5\%\text{ decrease}"]),
];

const PERCENTS_AND_DEGREES: &[Case] = &[
    (
        r"10\%",
        &[
            "10",
            "10%",
            r"10 \%",
            r"10\text{ percent}",
            "0.1",
            r"\frac{1}{10}",
            r"\frac{10}{100}",
            "10 percent",
        ],
        &["11%", "1", r"0.1\%", "100", "0.01"],
    ),
    ("25", &[r"25\%", "25%", r"25\text{ percent}"], &[r"2.5\%", r"2500", r"24\%"]),
    ("0.25", &[r"25\%"], &[r"2.5\%", r"26\%"]),
    (r"237.5\%", &["237.5", "2.375", r"237.50\%"], &["237", "23.75"]),
    (
        r"90^\circ",
        &[
            "90",
            r"90^{\circ}",
            "90°",
            r"90\text{ degrees}",
            r"90\degree",
            "90 degrees",
            r"\frac{\pi}{2}",
            r"x=90^\circ",
        ],
        &["91", r"90\%", r"\pi", "0.5", r"180^\circ", r"90\text{ cm}"],
    ),
    (
        r"\frac{990}{7}^\circ",
        &[r"\frac{990}{7}", "990/7°", r"\left(\frac{990}{7}\right)^\circ"],
        &[r"141^\circ"],
    ),
    (r"108\text{ degrees}", &[r"108^\circ", "108"], &[r"107^\circ", r"108\text{ radians}"]),
    (r"-30^\circ", &["-30", r"-30^{\circ}", r"-\frac{\pi}{6}"], &["30", r"30^\circ"]),
    (
        r"10^\circ, 50^\circ, 54^\circ",
        &["10,50,54", r"54^\circ,10^\circ,50^\circ"],
        &[r"10^\circ,50^\circ", "10"],
    ),
    (r"\frac{\pi}{6}", &[r"30^\circ"], &["30", r"60^\circ"]),
];

const TIMES_AND_RATIOS: &[Case] = &[
    (r"05\!:\!00", &["5:00", "05:00"], &["5:01", "17:00", "5"]),
    (
        r"4\!:\!51\!:\!06 \text{ p.m.}",
        &[r"4:51:06\text{ p.m.}", "4:51:06", r"4:51:06 \text{ PM}"],
        &["4:51:07", r"4:51:06\text{ a.m.}", "4:51"],
    ),
    (
        r"8\!:\!34 \text{ p.m.}",
        &[r"8:34\text{ p.m.}", "8:34 PM", "8:34"],
        &["8:35", r"8:34\text{ a.m.}", "834"],
    ),
    ("3:5", &["3 : 5", r"\frac35", "3/5", "6:10", r"3\colon5"], &["5:3", "3", "5", "3,5", "3:6"]),
    ("1:2:3", &["1 : 2 : 3"], &["1:2", "3:2:1"]),
];

const TIMES: &[Case] = &[
    (
        "1:15 pm",
        &["1:15 PM", "1:15", r"01:15\text{ p.m.}"],
        &["2:30 pm", "2:30", "1:15 am", r"\frac{1}{15}"],
    ),
    ("10:20 am", &["10:20", r"10:20\text{ AM}"], &["5:10 am", "5:10", "0.5", "2", "10:20 pm"]),
    ("10:15 am", &["10:15"], &["2/3", "20:30 am"]),
    ("0.5", &[], &["10:20 am", r"1:2\text{ hours}"]),
    (
        r"1:15\text{ hours}",
        &["1:15", r"1:15\text{ h}"],
        &[r"2:30\text{ hours}", r"1:15\text{ minutes}", "1/15"],
    ),
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
    (
        "2024-05-01",
        &["2024-05-01", "2024-5-1", r"\text{2024-05-01}"],
        &["2018", "2024-05-02", "2024-01-05"],
    ),
    ("2020-01-05", &["2020-01-05."], &["2014", "2020-05-01"]),
    ("1/2/2020", &["1/2/2020", "01/02/2020"], &[r"\frac{1}{4040}", "1/4040", "2/1/2020"]),
    ("2014", &["2020-6", "2020-1-5+0"], &["2020-01-05"]),
    ("1/1010", &["2/2020"], &["2/2021"]),
    (r"\text{Room 5 Bob}", &[r"\text{room 5 BOB}"], &[r"\text{room 5 Tom}"]),
    (r"\text{at 5 AM}", &[r"\text{At 5 am}"], &[r"\text{at 5 pm}"]),
    (r"\text{about 5 MW}", &[r"\text{About 5 MW}"], &[r"\text{about 5 mW}"]),
];

const IN_PARTS: &[Case] = &[
    (
        r"150\text{ min}",
        &[r"2\text{ h }30\text{ min}", "2 h 30 min", "2 hours and 30 minutes", "2 h 29 min 60 s"],
        &["2 h 40 min", "2 h 30 s", "30 min 2 h", "2 m 30 min", "2.3 h"],
    ),
    (
        r"2\text{ h }30\text{ min}",
        &[r"150\text{ min}", r"2.5\text{ hours}", "2小时30分钟", "2 h 30 min"],
        &["150", "2.5", "32", r"150\text{ s}", r"2\text{ h}, 31\text{ min}"],
    ),
    ("63 in", &["5 ft 3 in", r"5\text{ feet }3\text{ inches}"], &["5 ft 4 in", "5.3 ft", "63 ft"]),
    ("3 m 20 cm", &["320 cm", "3.2 m"], &["3.2", "3.2 s", "23"]),
    (r"\$3.50", &["3 dollars 50 cents"], &["3 dollars 5 cents"]),
];

const COMPOUND_UNITS: &[Case] = &[
    (
        r"5\text{ light years}",
        &[r"5\text{ light-years}", r"5\text{ ly}", "5"],
        &[r"5\text{ years}", r"5\text{ months}", r"6\text{ light years}"],
    ),
    (r"5\text{ years}", &["5 years", "5"], &[r"5\text{ light years}"]),
    (r"5\text{ miles}", &["5 miles"], &[r"5\text{ nautical miles}"]),
    (r"1\text{ nautical mile}", &[r"1.852\text{ km}"], &[r"1\text{ mile}"]),
    (r"8\text{ ounces}", &["8 oz"], &[r"8\text{ fluid ounces}", r"8\text{ troy ounces}"]),
    (r"10\text{ man-hours}", &[r"10\text{ person-hours}"], &[r"10\text{ hours}"]),
    ("5ly", &["5yl"], &["5"]),
];

const DEGREES_OF_PI: &[Case] = &[
    (r"\pi", &[r"180^\circ"], &[r"\pi^\circ", "180"]),
    (
        r"\frac{\pi}{3}",
        &[r"60^\circ"],
        &[r"\left(\frac{\pi}{3}\right)^\circ", r"\frac{\pi^\circ}{3}"],
    ),
    (r"\pi^\circ", &[r"\pi^\circ"], &[r"\pi", r"180^\circ"]),
    (r"\frac{180}{\pi}^\circ", &[r"\frac{180}{\pi}", "1"], &["180", r"\pi"]),
];

/// Words that scale the value in front of them, or turn it around.
const SCALES: &[Case] = &[
    (
        "7",
        &[r"7\text{ kilos}", r"7\text{ K}", r"7\text{ negative numbers}", r"\text{No. of boys: }7"],
        &[
            r"7\text{k}",
            r"7\text{ bn}",
            r"7\text{ mn}",
            r"7\text{M}",
            r"7\text{ gross}",
            r"7\text{ grand}",
            r"7\text{ kilo}",
            r"7\text{ negative}",
            r"7\text{ short}",
            r"7\text{ short of}",
            r"\text{wrong: }7",
            r"\text{incorrect: }7",
            r"7\not=7",
            r"x\not=7",
        ],
    ),
    ("7000", &[r"7\text{k}", r"7\text{ grand}"], &[]),
    ("7000000", &[r"7\text{M}", r"7\text{ mn}"], &[]),
    ("1008", &[r"7\text{ gross}"], &[]),
    (
        r"5\%",
        &[r"5\text{ percent}"],
        &[r"5\text{ ppm}", r"5\text{ per mille}", r"5\text{ basis points}", r"5\text{ ppb}"],
    ),
    (
        r"5\text{ percent}",
        &[r"50\text{ per mille}", r"500\text{ basis points}"],
        &[r"5\text{ ppm}"],
    ),
    (r"x\ne 7", &[r"x\not=7", r"x \not = 7"], &["x=7"]),
];

#[test]
fn quantities_are_judged_as_the_tables_say() {
    check_tables(&[
        ("words that scale a value", SCALES),
        ("degrees and multiples of pi", DEGREES_OF_PI),
        ("units of two words", COMPOUND_UNITS),
        ("quantities in several units", IN_PARTS),
        ("units", UNITS),
        ("units without text", UNITS_IN_SIGNS),
        ("letters that may be units", LETTERS_AS_UNITS),
        ("units in the gold answer", GOLD_UNITS),
        ("quantities", QUANTITIES),
        ("percents and degrees", PERCENTS_AND_DEGREES),
        ("times and ratios", TIMES_AND_RATIOS),
        ("times", TIMES),
        ("dates and names", DATES_AND_NAMES),
    ]);
}

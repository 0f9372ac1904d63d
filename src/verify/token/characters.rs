//! Characters and commands of one meaning, and what they stand for.

use std::borrow::Cow;

/// The one name of a command that sets a mark on what follows it.
pub(in crate::verify) fn mark(name: &str) -> Option<&'static str> {
    Some(match name {
        "overline" | "bar" => "overline",
        "vec" | "overrightarrow" => "vec",
        "hat" | "widehat" => "hat",
        "tilde" | "widetilde" => "tilde",
        "dot" => "dot",
        "ddot" => "ddot",
        "check" | "widecheck" => "check",
        "breve" => "breve",
        "acute" => "acute",
        "grave" => "grave",
        "mathring" => "mathring",
        "overleftarrow" => "overleftarrow",
        "overleftrightarrow" => "overleftrightarrow",
        "overarc" | "wideparen" | "overparen" => "overarc",
        "mathcal" | "cal" => "mathcal",
        "mathscr" => "mathscr",
        "mathfrak" => "mathfrak",
        _ => return None,
    })
}

/// A text with the full-width forms of ASCII and the marks of Chinese punctuation as ASCII.
pub(in crate::verify) fn half_width(text: &str) -> Cow<'_, str> {
    // Their first bytes in UTF-8.
    if text.is_ascii() || !text.bytes().any(|byte| byte == 0xef || byte == 0xe3) {
        return Cow::Borrowed(text);
    }
    let half = |c: char| match c {
        '\u{ff01}'..='\u{ff5e}' => char::from((c as u32 - 0xfee0) as u8),
        '\u{3000}' => ' ',
        '。' => '.',
        '、' => ',',
        other => other,
    };
    Cow::Owned(text.chars().map(half).collect())
}

/// A letter of a script whose words stand among numbers without `\text`: Chinese and its
/// neighbours, and Cyrillic.
pub(super) fn is_foreign(c: char) -> bool {
    matches!(c, '\u{400}'..='\u{4ff}' | '\u{3041}'..='\u{30ff}' | '\u{3400}'..='\u{9fff}' | '\u{ac00}'..='\u{d7a3}')
}

/// Characters without a width, and marks of direction.
pub(super) fn is_invisible(c: char) -> bool {
    matches!(c, '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{2064}' | '\u{feff}' | '\u{ad}' | '\u{fe0e}' | '\u{fe0f}')
}

/// The value of a decimal digit: ASCII, full-width, or one of the mathematical alphabets.
pub(super) fn digit(c: char) -> Option<u32> {
    match c {
        '0'..='9' => Some(c as u32 - '0' as u32),
        '０'..='９' => Some(c as u32 - '０' as u32),
        '\u{1d7ce}'..='\u{1d7ff}' => Some((c as u32 - 0x1d7ce) % 10),
        _ => None,
    }
}

/// A raised character as what it raises.
pub(super) fn superscript(c: char) -> Option<char> {
    Some(match c {
        '⁰' => '0',
        '¹' => '1',
        '²' => '2',
        '³' => '3',
        '⁴'..='⁹' => char::from(b'4' + (c as u32 - '⁴' as u32) as u8),
        _ => return paired(c, "⁺⁻ⁿⁱᵏᵐᵗᵃᵇˣʸ", "+-nikmtabxy"),
    })
}

/// A lowered character as what it lowers.
pub(super) fn subscript(c: char) -> Option<char> {
    match c {
        '₀'..='₉' => Some(char::from(b'0' + (c as u32 - '₀' as u32) as u8)),
        _ => paired(c, "₊₋ₙᵢⱼₖₘₚₛₜₐₑₕₗₒₓ", "+-nijkmpstaehlox"),
    }
}

/// The character of one row that stands where `c` stands in the other.
fn paired(c: char, from: &str, to: &str) -> Option<char> {
    from.chars().zip(to.chars()).find_map(|(known, other)| (known == c).then_some(other))
}

/// A fraction in one character, as numerator and denominator.
pub(super) fn vulgar(c: char) -> Option<(&'static str, &'static str)> {
    Some(match c {
        '½' => ("1", "2"),
        '⅓' => ("1", "3"),
        '⅔' => ("2", "3"),
        '¼' => ("1", "4"),
        '¾' => ("3", "4"),
        '⅕' => ("1", "5"),
        '⅖' => ("2", "5"),
        '⅗' => ("3", "5"),
        '⅘' => ("4", "5"),
        '⅙' => ("1", "6"),
        '⅚' => ("5", "6"),
        '⅐' => ("1", "7"),
        '⅑' => ("1", "9"),
        '⅒' => ("1", "10"),
        '⅛' => ("1", "8"),
        '⅜' => ("3", "8"),
        '⅝' => ("5", "8"),
        '⅞' => ("7", "8"),
        _ => return None,
    })
}

/// The Greek alphabet and other characters that stand for a LaTeX command.
pub(super) const CHARACTERS: [(char, &str); 96] = [
    ('α', "alpha"),
    ('β', "beta"),
    ('γ', "gamma"),
    ('δ', "delta"),
    ('ε', "epsilon"),
    ('ϵ', "epsilon"),
    ('ζ', "zeta"),
    ('η', "eta"),
    ('θ', "theta"),
    ('ϑ', "vartheta"),
    ('ι', "iota"),
    ('κ', "kappa"),
    ('ϰ', "varkappa"),
    ('λ', "lambda"),
    ('μ', "mu"),
    ('\u{b5}', "mu"),
    ('ν', "nu"),
    ('ξ', "xi"),
    ('ο', "omicron"),
    ('π', "pi"),
    ('𝜋', "pi"),
    ('ϖ', "varpi"),
    ('ρ', "rho"),
    ('ϱ', "varrho"),
    ('σ', "sigma"),
    ('ς', "varsigma"),
    ('τ', "tau"),
    ('υ', "upsilon"),
    ('φ', "phi"),
    ('ϕ', "phi"),
    ('χ', "chi"),
    ('ψ', "psi"),
    ('ω', "omega"),
    ('Α', "Alpha"),
    ('Β', "Beta"),
    ('Γ', "Gamma"),
    ('Δ', "Delta"),
    ('∆', "Delta"),
    ('Ε', "Epsilon"),
    ('Ζ', "Zeta"),
    ('Η', "Eta"),
    ('Θ', "Theta"),
    ('Ι', "Iota"),
    ('Κ', "Kappa"),
    ('Λ', "Lambda"),
    ('Μ', "Mu"),
    ('Ν', "Nu"),
    ('Ξ', "Xi"),
    ('Ο', "Omicron"),
    ('Π', "Pi"),
    ('Ρ', "Rho"),
    ('Σ', "Sigma"),
    ('Τ', "Tau"),
    ('Υ', "Upsilon"),
    ('Φ', "Phi"),
    ('Χ', "Chi"),
    ('Ψ', "Psi"),
    ('Ω', "Omega"),
    ('\u{2126}', "Omega"),
    ('ℓ', "ell"),
    ('ℏ', "hbar"),
    ('ℵ', "aleph"),
    ('℘', "wp"),
    ('ℜ', "Re"),
    ('ℑ', "Im"),
    ('ℝ', "reals"),
    ('ℤ', "mathbb Z"),
    ('ℕ', "mathbb N"),
    ('ℚ', "mathbb Q"),
    ('ℂ', "mathbb C"),
    ('√', "sqrt"),
    ('∑', "sum"),
    ('∏', "prod"),
    ('∐', "coprod"),
    ('∫', "int"),
    ('∬', "iint"),
    ('∭', "iiint"),
    ('∮', "oint"),
    ('∂', "partial"),
    ('∇', "nabla"),
    ('∠', "angle"),
    ('∡', "measuredangle"),
    ('△', "triangle"),
    ('∃', "exists"),
    ('∩', "cap"),
    ('⋂', "bigcap"),
    ('⊕', "oplus"),
    ('⊖', "ominus"),
    ('⊗', "otimes"),
    ('⊙', "odot"),
    ('⋆', "star"),
    ('†', "dagger"),
    ('∁', "complement"),
    ('↦', "mapsto"),
    ('∤', "nmid"),
    ('⊄', "nsubset"),
];

/// The command that a character stands for.
pub(super) fn command_of(c: char) -> Option<&'static str> {
    CHARACTERS.iter().find_map(|(known, command)| (*known == c).then_some(*command))
}

/// One spelling for characters of one meaning.
pub(super) fn symbol_of(c: char) -> char {
    match c {
        '−' | '–' | '‐' | '‑' => '-',
        '×' | '·' | '⋅' | '∙' | '∗' => '*',
        '÷' | '∕' | '⁄' => '/',
        '∶' => ':',
        '⩽' | '≦' => '≤',
        '⩾' | '≧' => '≥',
        '≃' => '≈',
        '∧' => '⋀',
        '∨' => '⋁',
        '⟺' | '↔' => '⇔',
        '⋃' => '∪',
        'º' | '˚' | '∘' => '°',
        '′' | '’' => '\'',
        '⟨' | '〈' => '⟨',
        '⟩' | '〉' => '⟩',
        '∅' | 'Ø' => '∅',
        '∣' => '|',
        '∥' => '‖',
        '⟹' | '⟶' => '⇒',
        '⋯' => '…',
        other => other,
    }
}

/// Commands that are one symbol.
pub(super) fn symbol_command(name: &str) -> Option<char> {
    Some(match name {
        "cdot" => '*',
        "div" => '/',
        "pm" => '±',
        "mp" => '∓',
        "le" | "leq" | "leqslant" | "leqq" => '≤',
        "ge" | "geq" | "geqslant" | "geqq" => '≥',
        "lt" => '<',
        "gt" => '>',
        "ne" | "neq" => '≠',
        "approx" | "simeq" | "doteq" | "approxeq" => '≈',
        "cong" => '≅',
        "sim" => '∼',
        "subset" => '⊂',
        "subseteq" => '⊆',
        "subsetneq" | "varsubsetneq" | "subsetneqq" => '⊊',
        "supset" => '⊃',
        "supseteq" => '⊇',
        "supsetneq" | "varsupsetneq" | "supsetneqq" => '⊋',
        "notin" => '∉',
        "ni" => '∋',
        "prec" => '≺',
        "succ" => '≻',
        "preceq" | "preccurlyeq" => '≼',
        "succeq" | "succcurlyeq" => '≽',
        "ll" => '≪',
        "gg" => '≫',
        "propto" => '∝',
        "parallel" => '∥',
        "perp" | "bot" => '⊥',
        "iff" | "Leftrightarrow" | "Longleftrightarrow" | "leftrightarrow" => '⇔',
        "neg" | "lnot" => '¬',
        "equiv" => '≡',
        "Rightarrow" | "implies" | "Longrightarrow" => '⇒',
        "to" | "rightarrow" | "longrightarrow" => '→',
        "in" => '∈',
        "forall" => '∀',
        "cup" | "bigcup" => '∪',
        "land" | "wedge" => '⋀',
        "or" | "lor" | "vee" => '⋁',
        "setminus" | "backslash" | "smallsetminus" => '∖',
        "infty" => '∞',
        "circ" | "degree" | "textdegree" => '°',
        "textdollar" => '$',
        "cr" | "newline" => '⏎',
        "emptyset" | "varnothing" => '∅',
        "lbrace" => '⦃',
        "rbrace" => '⦄',
        "langle" => '⟨',
        "rangle" => '⟩',
        "lvert" | "rvert" | "vert" | "mid" => '|',
        "Vert" | "lVert" | "rVert" => '‖',
        "lfloor" => '⌊',
        "rfloor" => '⌋',
        "lceil" => '⌈',
        "rceil" => '⌉',
        "lbrack" => '[',
        "rbrack" => ']',
        "colon" => ':',
        "prime" => '\'',
        "dots" | "ldots" | "cdots" => '…',
        _ => return None,
    })
}

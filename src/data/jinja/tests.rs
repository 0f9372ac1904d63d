//! The same text as Transformers, and an end to whatever a template does.

use super::{Fault, MAX_SOURCE, Template, Value};

fn rendered(source: &str, variables: &serde_json::Value, strict: bool) -> Result<String, Fault> {
    rendered_at(source, variables, strict, &|format| Ok(format!("the time as {format}")))
}

fn rendered_at(
    source: &str,
    variables: &serde_json::Value,
    strict: bool,
    now: &dyn Fn(&str) -> Result<String, String>,
) -> Result<String, Fault> {
    let mut template = Template::new(source)?;
    template.strict = strict;
    let variables = variables.as_object().into_iter().flatten();
    let variables = variables.map(|(name, value)| (name.clone(), Value::from_json(value)));
    template.render(variables, now)
}

/// `tests/fixtures/chat_templates.py` says how the texts were made.
#[test]
fn templates_give_what_transformers_gives() {
    let fixture = include_str!("../../../tests/fixtures/chat_templates.json");
    let fixture: serde_json::Value = serde_json::from_str(fixture).unwrap();
    let cases = fixture["cases"].as_array().unwrap();
    assert!(cases.len() > 70);
    for case in cases {
        let (template, text) = (case["template"].as_str().unwrap(), case["text"].as_str().unwrap());
        assert_eq!(
            rendered(template, &fixture["variables"], false).as_deref(),
            Ok(text),
            "{template}"
        );
    }
    let windows = "a\r\n{% if t %}\r\nb\r\n{% endif %}\r\nc\r\n";
    assert_eq!(
        rendered(windows, &fixture["variables"], false),
        rendered(&windows.replace('\r', ""), &fixture["variables"], false)
    );
    assert_eq!(
        rendered("{{ strftime_now('%d %b %Y') }}", &fixture["variables"], false).unwrap(),
        "the time as %d %b %Y"
    );
}

/// `tests/fixtures/family_templates.py` says whose templates these are and how the texts were made.
/// `ORTHANT_TEMPLATES` may name a file that it has written with `--all`, with more of them.
#[test]
fn the_chat_templates_of_the_families_give_what_transformers_gives() {
    let kept = include_str!("../../../tests/fixtures/family_templates.json");
    assert_eq!(compare_templates(kept), 300);
    if let Some(more) = std::env::var_os("ORTHANT_TEMPLATES") {
        assert!(compare_templates(&std::fs::read_to_string(more).unwrap()) > 300);
    }
}

/// How many texts and refusals of a fixture were compared. What differs is said of all of them.
fn compare_templates(fixture: &str) -> usize {
    let fixture: serde_json::Value = serde_json::from_str(fixture).unwrap();
    let time: jiff::civil::DateTime = fixture["now"].as_str().unwrap().parse().unwrap();
    let now =
        |format: &str| jiff::fmt::strtime::format(format, time).map_err(|error| error.to_string());
    let (mut compared, mut different) = (0, Vec::new());
    for template in fixture["templates"].as_array().unwrap() {
        for case in template["cases"].as_array().unwrap() {
            let conversation = case["conversation"].as_str().unwrap();
            let mut variables = fixture["conversations"][conversation].clone();
            variables["documents"] = serde_json::Value::Null;
            variables["add_generation_prompt"] = case["add_generation_prompt"].clone();
            let given = variables.as_object_mut().unwrap();
            given.entry("tools").or_insert(serde_json::Value::Null);
            for more in [&template["special_tokens"], &case["variables"]] {
                given.extend(more.as_object().unwrap().clone());
            }
            let source = template["template"].as_str().unwrap();
            let is_same = match rendered_at(source, &variables, false, &now) {
                Ok(text) => case["text"].as_str() == Some(text.as_str()),
                // A template that refuses says why; what fails otherwise fails in other words.
                Err(fault) => {
                    case["refusal"].as_str().is_some_and(|words| fault.text.contains(words))
                }
            };
            compared += 1;
            if !is_same {
                different.push(format!("{}: {conversation}", template["name"]));
            }
        }
    }
    assert!(different.is_empty(), "{} of {compared} differ: {different:#?}", different.len());
    compared
}

#[test]
fn what_is_not_known_or_not_allowed_is_refused_with_its_line() {
    for (source, line, words) in [
        ("a\n{{ x.upper(,) }}", 2, "`,` where a value should stand"),
        ("a\n{% include 'x' %}", 2, "the tag `include` is not known"),
        ("{% if x %}", 1, "the end of the template where `{% elif %}`"),
        ("{{ 'a'|shout }}", 1, "the filter `shout` is not known"),
        ("{{ 'a' is loud }}", 1, "the test `loud` is not known"),
        ("\n\n{{ nothing() }}", 3, "unknown function `nothing`"),
        ("{{ a.b.c }}", 1, "`a` is undefined"),
        ("{{ [1].append(2) }}", 1, "not allowed"),
        ("{% set x = [] %}{% set x.y = 1 %}", 1, "not a namespace"),
        ("{{ 'a' + 1 }}", 1, "`+` between a str and a int"),
        ("{{ '%d' % 'a' }}", 1, "`%d` of a str"),
        ("{{ raise_exception('no system') }}", 1, "no system"),
        ("{% break %}", 1, "outside of a loop"),
        ("{{ 'a", 1, "no closing quotation mark"),
        ("{# a", 1, "a comment has no end"),
        ("{{ 1 / 0 }}", 1, "a division by zero"),
        ("{% macro f(a) %}{% endmacro %}{{ [1]|map('nope')|list }}", 1, "the filter `nope`"),
        ("{{ loop.index }}", 1, "`loop` is undefined"),
        ("{{ '½'.isdigit() }}", 1, "`isdigit` of such a text beyond ASCII"),
        ("{{ 'ß'.casefold() }}", 1, "`casefold` of such a text beyond ASCII"),
        ("{{ 'Ⅷ'.isalpha() }}", 1, "`isalpha` of such a text beyond ASCII"),
        ("{{ '{:.3d}'.format(5) }}", 1, "the format `.3d` of a int"),
        ("{{ ('a'|safe).split('<') }}", 1, "the method `split` of a Markup"),
        ("{{ '%s'|safe|format('<') }}", 1, "the filter `format` of a Markup"),
        ("{{ ('%s'|safe) % '<' }}", 1, "`%` between a Markup and a str"),
    ] {
        let fault = rendered(source, &serde_json::json!({}), false).unwrap_err();
        assert_eq!(fault.line, Some(line), "{source}: {fault}");
        assert!(fault.text.contains(words), "{source}: {fault}");
    }
    // Own templates have all that they name.
    for source in [
        "{{ x }}",
        "{% if x %}{% endif %}",
        "{% for y in x %}{% endfor %}",
        "{{ 'a' ~ x }}",
        "{{ x|upper }}",
        "{{ x == 1 }}",
    ] {
        assert!(
            rendered(source, &serde_json::json!({}), true)
                .unwrap_err()
                .text
                .contains("undefined value: x"),
            "{source}"
        );
    }
    let asked = "{% if x is defined %}x{% endif %}{{ x|default('d') }}";
    assert_eq!(rendered(asked, &serde_json::json!({}), true).unwrap(), "d");
}

#[test]
fn a_hostile_template_comes_to_an_end() {
    let doubled = |times: usize, step: &str| format!("{{% set x = [1] %}}{}", step.repeat(times));
    let nested = |open: &str, close: &str| {
        format!("{{{{ {}1{} }}}}", open.repeat(50_000), close.repeat(50_000))
    };
    for source in [
        "{% for i in range(100000) %}{% for j in range(100000) %}{% endfor %}{% endfor %}x"
            .to_string(),
        "{% for i in range(100000) %}{% for j in range(1000) %}aaaaaaaaaaaaaaaaaaaaaaaa{% endfor \
         %}{% endfor %}"
            .to_string(),
        "{{ 'aaaaaaaaaa' * 1000000000 }}".to_string(),
        "{{ 'a' * 6000000 }}".to_string(),
        "{{ [1] * 1000000000000000000000 }}".to_string(),
        "{{ range(100001) }}".to_string(),
        "{% set ns = namespace(s='aaaaaaaa') %}{% for i in range(40) %}{% set ns.s = ns.s ~ ns.s \
         %}{% endfor %}{{ ns.s }}"
            .to_string(),
        "{% set ns = namespace(s=[1]) %}{% for i in range(40) %}{% set ns.s = ns.s + ns.s %}{% \
         endfor %}"
            .to_string(),
        "{% set ns = namespace(s=[]) %}{% for i in range(9999) %}{% set ns.s = [ns.s] %}{% endfor \
         %}"
        .to_string(),
        "{% set ns = namespace(a=1) %}{% set ns.a = ns %}{{ ns }}".to_string(),
        doubled(60, "{% set x = [x, x] %}") + "{{ x == x }}",
        doubled(60, "{% set x = [x, x] %}") + "{{ x }}",
        doubled(60, "{% set x = x + x %}") + "{{ x|tojson }}",
        "{% macro f(n) %}{{ f(n + 1) }}{% endmacro %}{{ f(0) }}".to_string(),
        "{% for m in [1] recursive %}{{ loop([1]) }}{% endfor %}".to_string(),
        nested("(", ")"),
        nested("[", "]"),
        nested("-", ""),
        nested("1 if 1 else ", ""),
        "{% if 1 %}".repeat(20_000) + &"{% endif %}".repeat(20_000),
        "{{ '%1000000000d'|format(1) }}".to_string(),
        "{{ '%.1000000000f' % 1.5 }}".to_string(),
        "{{ '{:>1000000000}'.format(1) }}".to_string(),
        "{{ 'a'.center(2000000000) }}{{ 'a'.zfill(2000000000) }}".to_string(),
        "{{ [1]|slice(2000000000)|list }}".to_string(),
        "{{ [1]|batch(2000000000, 0)|list }}".to_string(),
        "{{ [1]|slice(288230376151711744)|list }}".to_string(),
        "{{ [1]|batch(576460752303423488, 0)|list }}".to_string(),
        "{{ [1, 'a', 2]|sort }}".to_string(),
        "{{ [1, 1e400 - 1e400, 2]|sort }}".to_string(),
        "{{ '%.1000000000d' % 1 }}".to_string(),
        "{{ 'a\\nb'|indent(2000000000) }}".to_string(),
        "{{ [[1]]|tojson(indent=2000000000) }}".to_string(),
        "{{ 9**9**9**9 }}".to_string(),
        "{{ range(100000)|join('a' * 100000) }}".to_string(),
        "{{ ('a' * 100000).replace('a', 'b' * 100000) }}".to_string(),
        "{{ range(99999)|map('string')|unique|list }}".to_string(),
        "a".repeat(MAX_SOURCE + 1),
    ] {
        let shown: String = source.chars().take(80).collect();
        let started = std::time::Instant::now();
        assert!(rendered(&source, &serde_json::json!({}), false).is_err(), "{shown}");
        assert!(started.elapsed().as_secs() < 20, "{shown} took {:?}", started.elapsed());
    }
    // Long chains are not nesting.
    assert_eq!(
        rendered("{{ 'a b'.split(' ', 18446744073709551615) }}", &serde_json::json!({}), false)
            .unwrap(),
        "['a', 'b']"
    );
    let chains = [
        (format!("{{{{ 1{} }}}}", " + 1".repeat(50_000)), "50001"),
        (format!("{{{{ {}1 }}}}", "not ".repeat(50_001)), "False"),
        (format!("{{{{ 1{} }}}}", "|string".repeat(50_000)), "1"),
        (format!("{{% if 0 %}}{}{{% endif %}}x", "{% elif 0 %}".repeat(20_000)), "x"),
    ];
    for (source, expected) in chains {
        assert_eq!(rendered(&source, &serde_json::json!({}), false).as_deref(), Ok(expected));
    }
}

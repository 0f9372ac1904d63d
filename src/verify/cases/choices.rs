//! Letters of choices.

use crate::verify::{AnswerFormat, Verdict, verify};

/// What completions choose: gold letter, completion, verdict.
const CHOICES: &[(&str, &str, Verdict)] = &[
    ("D", "so my answer is d", Verdict::Correct),
    ("D", "the answer is d.", Verdict::Correct),
    ("D", "The answer is d, because", Verdict::Correct),
    ("D", "my final answer is: d", Verdict::Correct),
    ("D", "Hence (D) is correct.", Verdict::Correct),
    ("D", "Option D is correct.", Verdict::Correct),
    ("D", "So D is the correct answer.", Verdict::Correct),
    ("D", "(D) is the right choice, since 2 > 1.", Verdict::Correct),
    ("D", "Therefore D is correct. This follows from A being too small.", Verdict::Correct),
    ("D", "答案：D", Verdict::Correct),
    ("D", "答案:D", Verdict::Correct),
    ("D", "答案是D", Verdict::Correct),
    ("D", "答案为 D。", Verdict::Correct),
    ("D", "因此，正确答案是（D）。", Verdict::Correct),
    ("D", "故选D", Verdict::Correct),
    ("D", "所以选择 D。", Verdict::Correct),
    ("D", "应选D。", Verdict::Correct),
    ("D", "选D", Verdict::Correct),
    ("D", "选项D正确。", Verdict::Correct),
    ("D", "正确选项为D", Verdict::Correct),
    ("D", "本题的答案是：D", Verdict::Correct),
    ("D", "答案是选项D", Verdict::Correct),
    ("D", "故选：D", Verdict::Correct),
    ("D", "<answer>D</answer>", Verdict::Correct),
    ("D", "<think>It may be A.</think> <answer> (D) </answer>", Verdict::Correct),
    ("D", "<answer>The answer is D</answer>", Verdict::Correct),
    ("D", "<answer>A</answer> no, <answer>D</answer>", Verdict::Correct),
    ("D", "<answer>D</answer>", Verdict::Correct),
    ("D", r"\boxed{\text{The answer is D}}", Verdict::Correct),
    ("D", r"\boxed{\text{Option D}}", Verdict::Correct),
    ("D", r"\boxed{\text{The answer is (D)}}", Verdict::Correct),
    ("D", r"\boxed{The answer is D}", Verdict::Correct),
    ("D", r"\boxed{\text{(D) is correct}}", Verdict::Correct),
    ("D", "The answer should be D", Verdict::Correct),
    ("D", "The answer must be (D).", Verdict::Correct),
    ("D", "The correct option is D", Verdict::Correct),
    ("D", "The correct choice is (D) 42", Verdict::Correct),
    ("D", "ANSWER: D", Verdict::Correct),
    ("D", "**Final Answer:** D", Verdict::Correct),
    ("D", "I choose D because of the symmetry.", Verdict::Correct),
    ("D", "So I'd go with D.", Verdict::Correct),
    ("D", "It is not A, so the answer is D", Verdict::Correct),
    ("D", "A is wrong, so D", Verdict::Correct),
    ("D", "It cannot be B. It must be D", Verdict::Correct),
    ("D", "The answer is not A but D", Verdict::Correct),
    ("D", "Not A, but D", Verdict::Correct),
    ("B", "After all this the answer cannot be B", Verdict::NoAnswer),
    ("B", "The answer can't be B", Verdict::NoAnswer),
    ("B", "The answer is not B", Verdict::NoAnswer),
    ("B", "It isn't B", Verdict::NoAnswer),
    ("B", "So we can rule out B", Verdict::NoAnswer),
    ("B", "We eliminate B", Verdict::NoAnswer),
    ("B", "neither A nor B", Verdict::NoAnswer),
    ("B", "anything other than B", Verdict::NoAnswer),
    ("B", "It should never be B", Verdict::NoAnswer),
    ("B", "every option except B", Verdict::NoAnswer),
    ("B", "The answer is definitely not (B)", Verdict::NoAnswer),
    ("B", "(B) is not correct.", Verdict::NoAnswer),
    ("B", "I doubt that (B) is correct", Verdict::NoAnswer),
    ("B", "(B) is incorrect", Verdict::NoAnswer),
    ("B", "If (B) is correct, then x = 3.", Verdict::NoAnswer),
    ("B", "Whether B is correct", Verdict::NoAnswer),
    ("B", "答案不是B", Verdict::NoAnswer),
    ("B", "排除B", Verdict::NoAnswer),
    ("B", "B不正确", Verdict::NoAnswer),
    ("B", "Statement B is correct, but statement A is not", Verdict::NoAnswer),
    ("A", "the answer is a", Verdict::NoAnswer),
    ("A", "The answer is a number", Verdict::NoAnswer),
    ("A", "the answer is a.", Verdict::NoAnswer),
    ("B", "rather than B", Verdict::NoAnswer),
    ("B", "Both A and B", Verdict::NoAnswer),
    ("B", "the answer is A or B", Verdict::Incorrect),
    ("B", "The answer is D", Verdict::Incorrect),
    ("B", "Hence (D) is correct.", Verdict::Incorrect),
    ("B", "<answer>D</answer>", Verdict::Incorrect),
    ("B", r"\boxed{\text{The answer is D}}", Verdict::Incorrect),
    ("B", r"\boxed{\text{not B}}", Verdict::Incorrect),
    ("B", r"\boxed{\text{The answer is not B}}", Verdict::Incorrect),
    ("B", "答案：D", Verdict::Incorrect),
    ("B", "The answer is B. No, the answer is D.", Verdict::Incorrect),
    ("B", "(B) is correct. Wait, the answer is D.", Verdict::Incorrect),
    ("B", "<answer>A, B</answer>", Verdict::NoAnswer),
    ("B", "We should not go with B", Verdict::NoAnswer),
    ("B", "We should not go with B.", Verdict::NoAnswer),
    ("B", "I would never go with (B)", Verdict::NoAnswer),
    ("B", "The incorrect option is B", Verdict::NoAnswer),
    ("B", "The wrong choice is (B).", Verdict::NoAnswer),
    ("B", "The wrong answer is B", Verdict::NoAnswer),
    ("B", "I don't think that the answer is B", Verdict::NoAnswer),
    ("B", "The answer is B. No: we should not go with B", Verdict::NoAnswer),
    ("B", "不选B", Verdict::NoAnswer),
    ("B", "答案是B，不，不应选B", Verdict::NoAnswer),
    ("B", "错误选项是B", Verdict::NoAnswer),
    ("B", "答案是C，不选B", Verdict::Incorrect),
    ("C", "答案是C，不选B", Verdict::Correct),
    ("C", "故选C，而不应选B。", Verdict::Correct),
    ("C", "应选C，不能选择B。", Verdict::Correct),
    ("C", "选项是C，错误选项是B。", Verdict::Correct),
    ("C", "The answer is C, so we should not go with B.", Verdict::Correct),
    ("C", "The answer is C. The incorrect option is B.", Verdict::Correct),
    ("C", "I choose C. I would not go with B.", Verdict::Correct),
    ("C", "We should not go with B, so the answer is C.", Verdict::Correct),
    ("C", "The answer is C. If you go with B, you count twice.", Verdict::Correct),
    ("C", "There is no doubt that the answer is C", Verdict::Correct),
    ("C", "No need to go on: the answer is C", Verdict::Correct),
    ("B", "The wrong option: B", Verdict::NoAnswer),
    ("C", "Without a doubt the answer is C.", Verdict::Correct),
    ("B", "The answer is C. The incorrect option is B.", Verdict::Incorrect),
    ("B", r"\boxed{A}, \boxed{B}", Verdict::Correct),
    ("B", r"\boxed{B} and \boxed{B}", Verdict::Correct),
    ("B", r"\boxed{A}? No, \boxed{B}", Verdict::Correct),
];

#[test]
fn choices_are_judged_by_their_letter() {
    for (gold, completion, expected) in [
        ("B", r"\boxed{B}", Verdict::Correct),
        ("B", r"\boxed{\text{(B)}}", Verdict::Correct),
        ("(B)", "The answer is (B).", Verdict::Correct),
        ("J", "so J", Verdict::Correct),
        ("B", r"\boxed{A}", Verdict::Incorrect),
        ("B", r"\boxed{A, B}", Verdict::Incorrect),
        ("B", r"\boxed{B} or rather \boxed{C}", Verdict::Incorrect),
        ("A", "The answer is a number", Verdict::NoAnswer),
        ("A", "I do not know", Verdict::NoAnswer),
    ]
    .iter()
    .chain(CHOICES)
    {
        assert_eq!(
            verify(gold, completion, AnswerFormat::Choice).verdict,
            *expected,
            "gold {gold}, completion {completion}"
        );
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
        r"$\boxed{B}$. Wait, no, C.",
        r"So \boxed{\text{B}}. Actually, it should be C.",
    ] {
        let verdict = |gold| verify(gold, completion, AnswerFormat::Choice).verdict;
        assert_eq!(
            (verdict("C"), verdict("B")),
            (Verdict::Correct, Verdict::Incorrect),
            "{completion}"
        );
    }
    for completion in [
        "The answer is B, but that is wrong.",
        "The answer is B. That is not correct.",
        "I disagree that the answer is B.",
        "One might think the answer is B.",
        "Saying the answer is B would be wrong.",
        "The answer is B is wrong.",
        "The answer is B (wrong).",
        "The answer is (B) [incorrect].",
        "The answer is B, not correct.",
        "The answer is B. Wrong!",
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
        "The answer is B (correct).",
        "The answer is B. C: wrong. D: wrong.",
        r"\boxed{B}. Correct!",
        r"The answer is \boxed{B}. A: wrong.",
        r"\boxed{B} Wait, actually it is C. Hmm no, \boxed{B}",
    ] {
        let verdict = verify("B", completion, AnswerFormat::Choice).verdict;
        assert_eq!(verdict, Verdict::Correct, "{completion}");
    }
}

#[test]
fn a_box_that_is_taken_back_is_wrong() {
    for completion in
        [r"\boxed{B} is wrong", r"\boxed{B} (incorrect)", r"$\boxed{B}$, but that is not correct."]
    {
        let verdict = verify("B", completion, AnswerFormat::Choice).verdict;
        assert_eq!(verdict, Verdict::Incorrect, "{completion}");
    }
    // Where the answer is a value, the last box counts and nothing else.
    assert_eq!(
        verify("5", r"\boxed{5}. Wait, no, 6.", AnswerFormat::Math).verdict,
        Verdict::Correct
    );
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
        assert_eq!(
            verify(letter, completion, AnswerFormat::Choice).verdict,
            Verdict::Correct,
            "{completion}"
        );
    }
}

#[test]
fn the_preferred_letter_is_chosen() {
    for (completion, chosen) in [
        ("I choose A over B", "A"),
        ("I prefer A to B", "A"),
        ("A is better than B", "A"),
        ("The answer is A over B", "A"),
        ("A beats B", "A"),
        ("B, not A", "B"),
        ("Hence (B), not (C).", "B"),
        ("答案是A，不是B", "A"),
        ("我选A，不是B", "A"),
        ("The answer is B. But C is better.", "C"),
        ("Answer: B. Hmm, A", "A"),
        ("The answer is B. This makes A wrong.", "B"),
        ("We can discard A. So B", "B"),
    ] {
        for letter in ["A", "B", "C"] {
            let right = verify(letter, completion, AnswerFormat::Choice).verdict.is_correct();
            assert_eq!(right, letter == chosen, "{letter}: {completion}");
        }
    }
}

#[test]
fn a_letter_that_is_discarded_or_one_of_several_is_no_choice() {
    for completion in [
        "The answer is one of A, B",
        "The answer could be A, B",
        "Answer: any of A, B",
        "We can discard B.",
        "We discard option B",
        "Cross out B",
        "Throw out B",
        "I got a B",
        "I got an A and a B",
        "The distractor is B",
        "The trap is B",
    ] {
        for letter in ["A", "B"] {
            let verdict = verify(letter, completion, AnswerFormat::Choice).verdict;
            assert!(!verdict.is_correct(), "{completion}: {verdict:?}");
        }
    }
}

//! Patterns of `like`: `%` matches any text, `_` one character; doubled, they match themselves.

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Pattern {
    parts: Vec<Part>,
    ignore_case: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Part {
    Char(char),
    One,
    Any,
}

impl Pattern {
    pub(super) fn new(text: &str, ignore_case: bool) -> Self {
        let text = if ignore_case { text.to_lowercase() } else { text.to_owned() };
        let mut parts = Vec::new();
        let mut chars = text.chars().peekable();
        while let Some(char) = chars.next() {
            let is_doubled = matches!(char, '%' | '_') && chars.next_if_eq(&char).is_some();
            parts.push(match char {
                '%' if !is_doubled => Part::Any,
                '_' if !is_doubled => Part::One,
                char => Part::Char(char),
            });
        }
        Self { parts, ignore_case }
    }

    /// Backtracks to the last `%` only, so that the time is at most proportional to pattern length × text length.
    pub(super) fn matches(&self, text: &str) -> bool {
        let text: Vec<char> =
            if self.ignore_case { text.to_lowercase().chars().collect() } else { text.chars().collect() };
        let (mut part, mut at) = (0, 0);
        let mut back: Option<(usize, usize)> = None;
        while at < text.len() {
            match (self.parts.get(part), back) {
                (Some(Part::Any), _) => {
                    back = Some((part + 1, at));
                    part += 1;
                }
                (Some(Part::One), _) => (part, at) = (part + 1, at + 1),
                (Some(Part::Char(char)), _) if *char == text[at] => (part, at) = (part + 1, at + 1),
                (_, Some((after, from))) => {
                    back = Some((after, from + 1));
                    (part, at) = (after, from + 1);
                }
                (_, None) => return false,
            }
        }
        self.parts[part..].iter().all(|part| *part == Part::Any)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wildcards_match_text_and_doubled_wildcards_match_themselves() {
        for (pattern, text, expected) in [
            ("", "", true),
            ("", "a", false),
            ("%", "", true),
            ("%a%b%", "xxaxxbxx", true),
            ("%a%b%", "xxbxxaxx", false),
            ("a_c", "abc", true),
            ("a_c", "ac", false),
            ("100%%", "100%", true),
            ("100%%", "1000", false),
            ("a__b", "a_b", true),
            ("a__b", "axyb", false),
            ("%aab", "aaaab", true),
            ("_\u{e9}%", "x\u{e9}", true),
        ] {
            assert_eq!(Pattern::new(pattern, false).matches(text), expected, "{pattern} {text}");
        }
        assert!(Pattern::new("A%", true).matches("abc"));
    }
}

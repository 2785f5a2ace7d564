//! Splits the text of a filter into tokens, each with its position.

use volume::error::Error;

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Mistake {
    pub at: usize,
    pub problem: String,
    pub hint: String,
}

impl Mistake {
    pub(super) fn new(at: usize, problem: impl Into<String>, hint: impl Into<String>) -> Self {
        Self { at, problem: problem.into(), hint: hint.into() }
    }

    /// Converts the byte offset to a character position, because users count characters.
    pub(super) fn explain(&self, text: &str) -> Error {
        let character = text.get(..self.at).map_or(0, |before| before.chars().count()) + 1;
        Error::usage(format!("invalid filter at character {character}: {}", self.problem)).hint(self.hint.clone())
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Compare {
    Equal,
    Different,
    Less,
    LessOrEqual,
    More,
    MoreOrEqual,
}

#[derive(Debug, Clone, PartialEq)]
pub(super) enum Token {
    /// A keyword or the name of a property, as written.
    Word(String),
    /// A word that starts with `@`.
    BuiltIn(String),
    Text(String),
    Number(f64),
    Compare(Compare),
    Open,
    Close,
    OpenList,
    CloseList,
    Comma,
    Dot,
}

/// The byte offset of a token, and the token.
pub(super) type Placed = (usize, Token);

pub(super) fn tokens(text: &str) -> Result<Vec<Placed>, Mistake> {
    let mut tokens = Vec::new();
    let mut at = 0;
    while let Some(first) = text[at..].chars().next() {
        if first.is_whitespace() {
            at += first.len_utf8();
            continue;
        }
        let (token, length) = token(&text[at..], at)?;
        tokens.push((at, token));
        at += length;
    }
    Ok(tokens)
}

fn token(rest: &str, at: usize) -> Result<(Token, usize), Mistake> {
    refuse_other_languages(rest, at)?;
    let signs = [
        ("<=", Token::Compare(Compare::LessOrEqual)),
        (">=", Token::Compare(Compare::MoreOrEqual)),
        ("<>", Token::Compare(Compare::Different)),
        ("=", Token::Compare(Compare::Equal)),
        ("<", Token::Compare(Compare::Less)),
        (">", Token::Compare(Compare::More)),
        ("(", Token::Open),
        (")", Token::Close),
        ("[", Token::OpenList),
        ("]", Token::CloseList),
        (",", Token::Comma),
        (".", Token::Dot),
    ];
    if let Some((sign, token)) = signs.into_iter().find(|(sign, _)| rest.starts_with(sign)) {
        return Ok((token, sign.len()));
    }
    match rest.chars().next() {
        Some('\'') => quoted(rest, at),
        Some(first) if first.is_ascii_digit() || first == '-' => number(rest, at),
        Some('@') => {
            let length = 1 + word(&rest[1..]);
            Ok((Token::BuiltIn(rest[..length].to_owned()), length))
        }
        Some(first) if first.is_alphabetic() || first == '_' => {
            let length = word(rest);
            Ok((Token::Word(rest[..length].to_owned()), length))
        }
        other => {
            let sign = other.map(String::from).unwrap_or_default().escape_debug().to_string();
            Err(Mistake::new(at, format!("unexpected {sign}"), "write text in single quotes: 'like this'"))
        }
    }
}

/// Refuses operators of other languages and names the operator to use instead.
fn refuse_other_languages(rest: &str, at: usize) -> Result<(), Mistake> {
    let others = [
        ("==", "use = to compare"),
        ("!=", "use <> to compare"),
        ("!", "use not"),
        ("&&", "use and"),
        ("||", "use or"),
        ("\"", "write text in single quotes: 'like this'"),
        ("`", "write text in single quotes: 'like this'"),
    ];
    match others.into_iter().find(|(sign, _)| rest.starts_with(sign)) {
        Some((sign, hint)) => Err(Mistake::new(at, format!("unknown operator {sign}"), hint)),
        None => Ok(()),
    }
}

fn quoted(rest: &str, at: usize) -> Result<(Token, usize), Mistake> {
    let mut text = String::new();
    let mut chars = rest.char_indices().skip(1).peekable();
    while let Some((offset, char)) = chars.next() {
        if char != '\'' {
            text.push(char);
        } else if chars.next_if(|(_, next)| *next == '\'').is_some() {
            text.push('\'');
        } else {
            return Ok((Token::Text(text), offset + 1));
        }
    }
    Err(Mistake::new(at, "unterminated text", "a text ends with a quote, and a quote inside it is doubled: 'it''s'"))
}

fn number(rest: &str, at: usize) -> Result<(Token, usize), Mistake> {
    let part = |char: char| char.is_ascii_alphanumeric() || char == '.';
    let length = 1 + rest[1..].find(|char| !part(char)).unwrap_or(rest.len() - 1);
    let text = &rest[..length];
    let plain = text.bytes().all(|byte| byte.is_ascii_digit() || matches!(byte, b'.' | b'-'));
    match text.parse::<f64>() {
        Ok(number) if plain && number.is_finite() => Ok((Token::Number(number), length)),
        _ => Err(Mistake::new(at, format!("{text} is not a number"), "write 5, -5 or 0.5, or text in single quotes")),
    }
}

/// Length in bytes of the word at the start of the text.
fn word(rest: &str) -> usize {
    rest.find(|char: char| !char.is_alphanumeric() && char != '_').unwrap_or(rest.len())
}

//! Removing secret keys: from a script when it is marked, and from its log while it runs.
//!
//! It finds values of `--secret-key`, assignments of the variables that hold a key, and user, password and query of the address
//! in `--backup`. A value that the shell expands (`$KEY`, `` `cat file` ``) is not a secret and stays. Secrets that are passed
//! in any other way are not found.

/// The replacement for a key.
pub const REDACTED: &[u8] = b"[redacted]";

const NAMES: [&[u8]; 3] = [b"--secret-key", b"MOORLINE_SECRETKEY", b"SEQ_STORAGE_SECRETKEY"];

const ADDRESS: &[u8] = b"--backup";

/// The shortest secret that is removed from a log, because a shorter one may be part of ordinary words.
const SHORTEST: usize = 16;

/// A script without its secrets, and the secrets.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Redaction {
    /// The text with each secret replaced.
    pub text: Vec<u8>,
    /// The secrets that were removed.
    pub secrets: Vec<Vec<u8>>,
}

/// Removes the secret keys from a script's text.
#[must_use]
pub fn redact(text: &[u8]) -> Redaction {
    let mut result = Redaction::default();
    let mut at = 0;
    while at < text.len() {
        if let Some(value) = text[at..].starts_with(ADDRESS).then(|| value_of(text, at, ADDRESS)).flatten()
            && let Some((address, secrets)) = without_credentials(&value.plain)
        {
            result.text.extend_from_slice(&text[at..value.start]);
            result.text.extend([value.quote.as_slice(), &address, value.quote.as_slice()].concat());
            result.secrets.extend(secrets);
            at = value.end;
            continue;
        }
        let found = NAMES.iter().find(|name| text[at..].starts_with(name));
        let Some(value) = found.and_then(|name| value_of(text, at, name)) else {
            result.text.push(text[at]);
            at += 1;
            continue;
        };
        result.text.extend_from_slice(&text[at..value.start]);
        result.text.extend(value.replacement());
        result.secrets.push(value.plain);
        at = value.end;
    }
    // The same value may occur in other places, too.
    let mut stream = Stream::without(result.secrets.clone());
    result.text = [stream.pass(&result.text), stream.end()].concat();
    result
}

/// An address in which the user, the password and the query are replaced, and what was replaced. `None` if there is nothing to
/// replace.
fn without_credentials(value: &[u8]) -> Option<(Vec<u8>, Vec<Vec<u8>>)> {
    let scheme = value.windows(3).position(|bytes| bytes == b"://")? + 3;
    let (mut address, mut secrets) = (value[..scheme].to_vec(), Vec::new());
    let mut rest = &value[scheme..];
    let authority = rest.iter().position(|byte| matches!(byte, b'/' | b'?' | b'#')).unwrap_or(rest.len());
    if let Some(end) = rest[..authority].iter().rposition(|byte| *byte == b'@') {
        secrets.push(rest[..end].to_vec());
        address.extend_from_slice(REDACTED);
        rest = &rest[end..];
    }
    let query = rest.iter().position(|byte| *byte == b'?').map_or(rest.len(), |at| at + 1);
    address.extend_from_slice(&rest[..query]);
    if query < rest.len() && rest[query..] != *REDACTED {
        secrets.push(rest[query..].to_vec());
        address.extend_from_slice(REDACTED);
    }
    secrets.retain(|secret| secret != REDACTED);
    (!secrets.is_empty()).then_some((address, secrets))
}

struct SecretValue {
    start: usize,
    end: usize,
    plain: Vec<u8>,
    quote: Option<u8>,
}

impl SecretValue {
    fn replacement(&self) -> Vec<u8> {
        let quote = self.quote.as_slice();
        [quote, REDACTED, quote].concat()
    }
}

/// The secret that follows the name at `at`, if any.
fn value_of(text: &[u8], at: usize, name: &[u8]) -> Option<SecretValue> {
    let byte = |index: usize| text.get(index).copied();
    let quoted_by = at.checked_sub(1).and_then(byte).filter(|byte| matches!(byte, b'"' | b'\''));
    let mut start = at + name.len();
    // `"--secret-key" value`: the quote ends after the name.
    let closed = quoted_by.is_some() && byte(start) == quoted_by;
    start += usize::from(closed);
    match byte(start)? {
        b'=' => start += 1,
        b' ' | b'\t' | b'\\' if name.starts_with(b"-") => start = skip_blanks(text, start),
        _ => return None,
    }
    let value = match quoted_by.filter(|_| !closed) {
        Some(quote) => up_to_quote(text, start, quote),
        None => word(text, start),
    };
    let raw = &text[value.start..value.end];
    let first = raw.iter().find(|byte| **byte != b'"');
    let filled_in = matches!(first, Some(b'$' | b'`')) && value.quote != Some(b'\'');
    (!value.plain.is_empty() && value.plain != REDACTED && !filled_in).then_some(value)
}

fn skip_blanks(text: &[u8], mut at: usize) -> usize {
    loop {
        match &text[at..] {
            [b' ' | b'\t', ..] => at += 1,
            [b'\\', b'\n', ..] => at += 2,
            [b'\\', b'\r', b'\n', ..] => at += 3,
            _ => return at,
        }
    }
}

/// The rest of a quoted word, or of the line if the quote is not closed.
fn up_to_quote(text: &[u8], start: usize, quote: u8) -> SecretValue {
    let length = text[start..].iter().position(|byte| *byte == quote || *byte == b'\n');
    let end = length.map_or(text.len(), |length| start + length);
    SecretValue { start, end, plain: text[start..end].to_vec(), quote: None }
}

/// One word as a shell reads it.
fn word(text: &[u8], start: usize) -> SecretValue {
    let mut plain = Vec::new();
    let mut inside: Option<u8> = None;
    let mut at = start;
    while let Some(byte) = text.get(at).copied() {
        match (byte, inside) {
            (b'\n', _) => break,
            (b'"' | b'\'', None) => inside = Some(byte),
            (b'"' | b'\'', Some(quote)) if quote == byte => inside = None,
            (b'\\', None | Some(b'"')) if text.get(at + 1).is_some_and(|next| *next != b'\n') => {
                at += 1;
                plain.push(text[at]);
            }
            (b' ' | b'\t' | b'\r' | b';' | b'|' | b'&' | b'<' | b'>' | b'(' | b')', None) => break,
            _ => plain.push(byte),
        }
        at += 1;
    }
    let quote = text.get(start).copied().filter(|byte| matches!(byte, b'"' | b'\''));
    SecretValue { start, end: at, plain, quote }
}

/// Removes secrets from a stream, even if a secret is split between two pieces.
#[derive(Debug, Default)]
pub struct Stream {
    secrets: Vec<Vec<u8>>,
    held: Vec<u8>,
}

impl Stream {
    /// A stream that removes these secrets.
    #[must_use]
    pub fn without(mut secrets: Vec<Vec<u8>>) -> Self {
        secrets.retain(|secret| secret.len() >= SHORTEST);
        Self { secrets, held: Vec::new() }
    }

    /// Takes the next piece and returns the text that cannot be the beginning of a secret any more.
    pub fn pass(&mut self, piece: &[u8]) -> Vec<u8> {
        let mut text = std::mem::take(&mut self.held);
        text.extend_from_slice(piece);
        let mut out = Vec::with_capacity(text.len());
        let mut at = 0;
        while at < text.len() {
            let rest = &text[at..];
            if let Some(secret) = self.secrets.iter().find(|secret| rest.starts_with(secret)) {
                out.extend_from_slice(REDACTED);
                at += secret.len();
            } else if self.secrets.iter().any(|secret| secret.starts_with(rest)) {
                self.held = rest.to_vec();
                break;
            } else {
                out.push(text[at]);
                at += 1;
            }
        }
        out
    }

    /// Ends the stream and returns the rest.
    pub fn end(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.held)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: &str = "8D2RNAbAgmV7ur8nQCLT7PlCWCk+kW488nSg3Narj/4=";

    fn redacted(line: &str) -> (String, Vec<String>) {
        let result = redact(line.as_bytes());
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("is text");
        (text(result.text), result.secrets.into_iter().map(text).collect())
    }

    #[test]
    fn a_key_is_found_in_every_notation() {
        for (line, expected) in [
            ("seqsvr restore --secret-key=KEY -y\n", "seqsvr restore --secret-key=[redacted] -y\n"),
            ("a --secret-key=\"KEY\" -y\r\nb", "a --secret-key=\"[redacted]\" -y\r\nb"),
            ("a --secret-key 'KEY'", "a --secret-key '[redacted]'"),
            ("a --secret-key\t KEY;b", "a --secret-key\t [redacted];b"),
            ("a \"--secret-key=KEY\" b", "a \"--secret-key=[redacted]\" b"),
            ("a '--secret-key' KEY b", "a '--secret-key' [redacted] b"),
            ("a --secret-key \\\n  KEY b", "a --secret-key \\\n  [redacted] b"),
            ("export MOORLINE_SECRETKEY=KEY\n", "export MOORLINE_SECRETKEY=[redacted]\n"),
        ] {
            let (text, secrets) = redacted(&line.replace("KEY", KEY).replace(&format!("SECRET{KEY}"), "SECRETKEY"));
            assert_eq!((text.as_str(), secrets), (expected, vec![KEY.to_owned()]));
        }
    }

    #[test]
    fn credentials_in_an_address_are_found() {
        for (line, expected) in [
            ("a --backup=https://u:pw@host/b.seqbac -y", "a --backup=https://[redacted]@host/b.seqbac -y"),
            ("a --backup 'https://host/b?sig=x&t=1' -y", "a --backup 'https://host/b?[redacted]' -y"),
            ("a --backup=https://u@h/b?s=1", "a --backup=https://[redacted]@h/b?[redacted]"),
            ("a --backup=https://host/b.seqbac", "a --backup=https://host/b.seqbac"),
            ("a --backup=../Backups/b?.seqbac", "a --backup=../Backups/b?.seqbac"),
        ] {
            assert_eq!(redacted(line).0, expected);
            assert_eq!(redacted(expected).0, expected);
        }
    }

    #[test]
    fn pieces_and_escapes_are_one_value() {
        assert_eq!(redacted(r#"a --secret-key=ab'cd'\=x"e f" g"#).1, ["abcd=xe f"]);
    }

    #[test]
    fn values_that_the_shell_expands_stay() {
        for line in [
            "seqsvr restore --secret-key=\"$KEY\" -y\n",
            "a --secret-key=$(cat key) b",
            "a --secret-key-file=/run/secrets/key b",
            "a --secret-key=[redacted] b",
            "a --secret-key",
            "echo $MOORLINE_SECRETKEY",
        ] {
            assert_eq!(redacted(line), (line.to_owned(), Vec::new()));
        }
    }

    #[test]
    fn a_secret_that_is_split_between_pieces_is_removed() {
        let text = format!("before {KEY} after {}", &KEY[..20]);
        for size in 1..text.len() {
            let mut stream = Stream::without(vec![KEY.into(), b"short".to_vec()]);
            let mut out: Vec<u8> = text.as_bytes().chunks(size).flat_map(|piece| stream.pass(piece)).collect();
            out.extend(stream.end());
            assert_eq!(String::from_utf8_lossy(&out), format!("before [redacted] after {}", &KEY[..20]));
        }
    }
}

//! Characters that word processors, chats, web pages and other encodings put in place of what was typed. No shell reads a
//! command with one of them as it was meant, and a restore would quietly not happen.

use volume::error::{Code, Error, Result};

/// What such a character is.
fn name(char: char) -> Option<&'static str> {
    Some(match char {
        '\u{a0}' | '\u{2007}' | '\u{202f}' => "a non-breaking space",
        '\u{200b}' => "an invisible space",
        '\u{2000}'..='\u{200a}' | '\u{205f}' | '\u{3000}' => "a typographic space",
        '\u{ad}' | '\u{200c}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{2069}' => {
            "an invisible character"
        }
        '\u{2028}' | '\u{2029}' => "a typographic line end",
        '\u{feff}' => "an invisible byte order mark",
        '\u{2010}'..='\u{2015}' | '\u{2212}' => "a dash in place of a hyphen",
        '\u{2018}'..='\u{201f}' | '\u{2032}' | '\u{2033}' | '\u{ab}' | '\u{bb}' | '\u{b4}' => {
            "a typographic quotation mark"
        }
        _ => return None,
    })
}

/// Whether a text holds nothing that can be seen.
pub fn is_blank(text: &[u8]) -> bool {
    std::str::from_utf8(text).is_ok_and(|text| {
        text.chars().all(|char| {
            char.is_whitespace() || name(char).is_some_and(|name| name.contains("space") || name.contains("invisible"))
        })
    })
}

/// A line up to a comment at its end.
pub fn without_comment(line: &[u8]) -> &[u8] {
    let mut quote = None;
    let mut before = b' ';
    let mut bytes = line.iter().enumerate();
    while let Some((at, byte)) = bytes.next() {
        match (quote, byte) {
            (None | Some(b'"'), b'\\') => drop(bytes.next()),
            (Some(open), _) if open == *byte => quote = None,
            (None, b'"' | b'\'') => quote = Some(*byte),
            (None, b'#') if before.is_ascii_whitespace() => return &line[..at],
            _ => {}
        }
        before = *byte;
    }
    line
}

/// Refuses a command of moorline with such a character, or a byte that is not UTF-8, outside quotes.
pub fn refuse(text: &[u8], lines_before: usize) -> Result<()> {
    let mut continues = false;
    for (number, line) in text.split(|byte| *byte == b'\n').enumerate() {
        let shown = String::from_utf8_lossy(line);
        let is_ours = ["seqsvr", "moorline"].iter().any(|program| shown.trim_start().starts_with(program));
        if !is_ours && !continues {
            continue;
        }
        continues = line.strip_suffix(b"\r").unwrap_or(line).ends_with(b"\\");
        if let Some((column, what)) = find(without_comment(line)) {
            return Err(Error::new(
                Code::ScriptUnrunnable,
                format!("the script cannot be run: line {}, column {column}: {what}", number + 1 + lines_before),
            )
            .hint("type that character again, with a plain text editor, and save the file as UTF-8"));
        }
    }
    Ok(())
}

/// The column and description of the first such character outside quotes.
fn find(line: &[u8]) -> Option<(usize, String)> {
    let (mut quote, mut column) = (None, 0);
    for chunk in line.utf8_chunks() {
        for char in chunk.valid().chars() {
            column += 1;
            match quote {
                Some(open) if open == char => quote = None,
                Some(_) => {}
                None if matches!(char, '"' | '\'') => quote = Some(char),
                None => {
                    if let Some(what) = name(char) {
                        return Some((column, format!("{what} (U+{:04X})", u32::from(char))));
                    }
                }
            }
        }
        if let (None, Some(byte)) = (quote, chunk.invalid().first()) {
            return Some((column + 1, format!("the byte 0x{byte:02X} is not UTF-8")));
        }
    }
    None
}

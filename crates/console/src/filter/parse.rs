//! Parses the tokens of a filter into a tree. Chains of `and` and `or` are flat nodes, so that only parentheses and `not`
//! add depth.

use super::{
    like::Pattern,
    token::{Compare, Mistake, Placed, Token, tokens},
};

/// Maximum nesting depth, because the parser is recursive.
const DEEPEST: usize = 32;

const EXAMPLE: &str = "such as @Level = 'Error', or FileName like 'seq_%'";
const VALUE: &str = "write a value: a property, 'text', a number, true, false or null";

/// Seq's built-in properties.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum BuiltIn {
    Level,
    EventType,
    Message,
    MessageTemplate,
    Timestamp,
}

/// A literal, a property of the event, or a test in parentheses.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Operand {
    Text(String),
    Number(f64),
    Bool(bool),
    Null,
    BuiltIn(BuiltIn),
    /// The path of names, outermost first.
    Property(Vec<String>),
    Test(Box<Test>),
}

/// An expression that is true, false or unknown for an event.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Test {
    All(Vec<Self>),
    Any(Vec<Self>),
    Not(Box<Self>),
    Is(Operand),
    Compare { left: Operand, how: Compare, right: Operand, ignore_case: bool },
    Like { operand: Operand, pattern: Pattern },
    In { operand: Operand, list: Vec<Operand>, ignore_case: bool },
    IsNull(Operand),
}

pub(super) fn parse(text: &str) -> Result<Test, Mistake> {
    let tokens = tokens(text)?;
    if tokens.is_empty() {
        return Err(Mistake::new(0, "the filter is empty", format!("describe the events to select, {EXAMPLE}")));
    }
    let mut parser = Parser { tokens, next: 0, depth: 0, end: text.len() };
    let test = parser.any()?;
    match parser.peek() {
        None => Ok(test),
        Some(Token::Close) => Err(parser.mistake("this ) has no matching (", "add the ( or remove the )")),
        Some(_) => {
            Err(parser.mistake("expected the end of the filter, `and` or `or`", "join two tests with and or or"))
        }
    }
}

struct Parser {
    tokens: Vec<Placed>,
    next: usize,
    depth: usize,
    end: usize,
}

impl Parser {
    fn peek(&self) -> Option<&Token> {
        self.tokens.get(self.next).map(|(_, token)| token)
    }

    fn at(&self) -> usize {
        self.tokens.get(self.next).map_or(self.end, |(at, _)| *at)
    }

    fn mistake(&self, problem: &str, hint: &str) -> Mistake {
        Mistake::new(self.at(), problem, hint)
    }

    fn take(&mut self, token: &Token) -> bool {
        let found = self.peek() == Some(token);
        self.next += usize::from(found);
        found
    }

    fn is_keyword(&self, keyword: &str) -> bool {
        matches!(self.peek(), Some(Token::Word(word)) if word.eq_ignore_ascii_case(keyword))
    }

    fn keyword(&mut self, keyword: &str) -> bool {
        let found = self.is_keyword(keyword);
        self.next += usize::from(found);
        found
    }

    fn deeper<T>(&mut self, parse: impl FnOnce(&mut Self) -> Result<T, Mistake>) -> Result<T, Mistake> {
        if self.depth == DEEPEST {
            return Err(self.mistake("the filter is nested too deeply", "use fewer parentheses or fewer nots"));
        }
        self.depth += 1;
        let parsed = parse(self);
        self.depth -= 1;
        parsed
    }

    fn any(&mut self) -> Result<Test, Mistake> {
        let mut tests = vec![self.all()?];
        while self.keyword("or") {
            tests.push(self.all()?);
        }
        Ok(one_or(tests, Test::Any))
    }

    fn all(&mut self) -> Result<Test, Mistake> {
        let mut tests = vec![self.not()?];
        while self.keyword("and") {
            tests.push(self.not()?);
        }
        Ok(one_or(tests, Test::All))
    }

    fn not(&mut self) -> Result<Test, Mistake> {
        if self.keyword("not") {
            return Ok(Test::Not(Box::new(self.deeper(Self::not)?)));
        }
        self.test()
    }

    fn test(&mut self) -> Result<Test, Mistake> {
        let left = self.operand()?;
        if let Some(Token::Compare(how)) = self.peek() {
            let how = *how;
            return self.compare(left, how);
        }
        if self.keyword("is") {
            return self.is_null(left);
        }
        let negated = self.keyword("not");
        let test = if self.keyword("like") {
            self.like(left)?
        } else if self.keyword("in") {
            self.list(left)?
        } else if negated {
            return Err(self.mistake(
                "expected `like` or `in` after `not`",
                "write not like or not in, or put not before the whole test",
            ));
        } else {
            return Ok(match left {
                Operand::Test(test) => *test,
                other => Test::Is(other),
            });
        };
        Ok(if negated { Test::Not(Box::new(test)) } else { test })
    }

    fn compare(&mut self, left: Operand, how: Compare) -> Result<Test, Mistake> {
        let sign = self.at();
        self.next += 1;
        let right = self.operand()?;
        let of_level = [&left, &right].contains(&&Operand::BuiltIn(BuiltIn::Level));
        if of_level && !matches!(how, Compare::Equal | Compare::Different) {
            let hint = "list the levels: @Level in ['Warning', 'Error']";
            return Err(Mistake::new(sign, "levels are text and have no order", hint));
        }
        let ignore_case = self.keyword("ci");
        // As in Seq, `is null` or `is not null` may follow: `(a = 1) is not null`.
        let test = Test::Compare { left, how, right, ignore_case };
        if self.keyword("is") { self.is_null(Operand::Test(Box::new(test))) } else { Ok(test) }
    }

    fn is_null(&mut self, left: Operand) -> Result<Test, Mistake> {
        let negated = self.keyword("not");
        if !self.keyword("null") {
            return Err(
                self.mistake("expected `null` or `not null` after `is`", "write is null, is not null, or = to compare")
            );
        }
        let test = Test::IsNull(left);
        Ok(if negated { Test::Not(Box::new(test)) } else { test })
    }

    fn like(&mut self, operand: Operand) -> Result<Test, Mistake> {
        let Some(Token::Text(pattern)) = self.peek() else {
            return Err(self.mistake("expected a text after `like`", "write the text in quotes: like 'seq_%'"));
        };
        let pattern = pattern.clone();
        self.next += 1;
        let ignore_case = self.keyword("ci");
        Ok(Test::Like { operand, pattern: Pattern::new(&pattern, ignore_case) })
    }

    fn list(&mut self, operand: Operand) -> Result<Test, Mistake> {
        if !self.take(&Token::OpenList) {
            return Err(self.mistake("expected a list after `in`", "write the list in [ and ]: in ['a', 'b']"));
        }
        let mut list = vec![self.operand()?];
        while self.take(&Token::Comma) {
            list.push(self.operand()?);
        }
        if !self.take(&Token::CloseList) {
            return Err(self.mistake("expected `,` or `]`", "write , before the next value, or ] after the last"));
        }
        let ignore_case = self.keyword("ci");
        Ok(Test::In { operand, list, ignore_case })
    }

    fn operand(&mut self) -> Result<Operand, Mistake> {
        let missing = self.mistake("expected a value", VALUE);
        let at = self.at();
        let token = self.peek().cloned().ok_or_else(|| missing.clone())?;
        self.next += 1;
        match token {
            Token::Text(text) => Ok(Operand::Text(text)),
            Token::Number(number) => Ok(Operand::Number(number)),
            Token::BuiltIn(name) => built_in(&name, at).map(Operand::BuiltIn),
            Token::Word(word) => self.word(word, missing),
            Token::Open => self.deeper(|parser| {
                let test = parser.any()?;
                if !parser.take(&Token::Close) {
                    return Err(parser.mistake("an earlier ( has no matching )", "add the )"));
                }
                Ok(match test {
                    Test::Is(operand) => operand,
                    test => Operand::Test(Box::new(test)),
                })
            }),
            _ => Err(missing),
        }
    }

    fn word(&mut self, word: String, missing: Mistake) -> Result<Operand, Mistake> {
        match word.to_ascii_lowercase().as_str() {
            "true" => return Ok(Operand::Bool(true)),
            "false" => return Ok(Operand::Bool(false)),
            "null" => return Ok(Operand::Null),
            "and" | "or" | "not" | "in" | "like" | "is" | "ci" => return Err(missing),
            _ => {}
        }
        let mut names = vec![word];
        while self.take(&Token::Dot) {
            let Some(Token::Word(name)) = self.peek() else {
                return Err(self.mistake("expected a name after the dot", "write the name of the inner property"));
            };
            names.push(name.clone());
            self.next += 1;
        }
        Ok(Operand::Property(names))
    }
}

fn one_or(mut tests: Vec<Test>, many: impl FnOnce(Vec<Test>) -> Test) -> Test {
    match tests.pop() {
        Some(only) if tests.is_empty() => only,
        last => {
            tests.extend(last);
            many(tests)
        }
    }
}

fn built_in(name: &str, at: usize) -> Result<BuiltIn, Mistake> {
    match name {
        "@Level" | "@l" => Ok(BuiltIn::Level),
        "@EventType" | "@i" => Ok(BuiltIn::EventType),
        "@Message" | "@m" => Ok(BuiltIn::Message),
        "@MessageTemplate" | "@mt" => Ok(BuiltIn::MessageTemplate),
        "@Timestamp" | "@t" => Ok(BuiltIn::Timestamp),
        _ => Err(Mistake::new(
            at,
            format!("unknown property {name}"),
            "use @Level, @EventType, @Message, @MessageTemplate or @Timestamp",
        )),
    }
}

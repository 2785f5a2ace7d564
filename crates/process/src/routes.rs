//! Which signal the server gets for each signal that arrives, by kernel numbers 1 to 64; names of signals.
//!
//! Signals are forwarded unchanged, except SIGCHLD (it concerns our own children), fault signals (they concern the process
//! with the fault) and the three signals with which a terminal stops a job. Only those three can be rewritten.

use nix::{libc, sys::signal::Signal};

use super::signals::FAULTS;
use volume::error::{Error, Result};

const LAST: i32 = 64;

/// The first real-time signal that programs may use: the C libraries take 32 and 33 for themselves.
const FIRST_REAL_TIME: i32 = 34;

/// For each signal that arrives, the number that is sent; 0 for none.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Routes([u8; LAST as usize + 1]);

impl Default for Routes {
    fn default() -> Self {
        let mut routes = Self(std::array::from_fn(|number| number as u8));
        for number in FAULTS.into_iter().chain([libc::SIGCHLD, libc::SIGTSTP, libc::SIGTTIN, libc::SIGTTOU]) {
            routes.0[number as usize] = 0;
        }
        routes
    }
}

impl Routes {
    /// The signal to send for this one; `None` if it is not forwarded.
    #[must_use]
    pub fn of(&self, signal: i32) -> Option<i32> {
        let number = self.0.get(usize::try_from(signal).ok()?)?;
        (*number != 0).then_some(i32::from(*number))
    }

    /// The rules: signals that are sent as another signal.
    pub fn rewritten(&self) -> impl Iterator<Item = (i32, i32)> {
        let pairs = self.0.iter().zip(0..).map(|(to, from): (&u8, i32)| (from, i32::from(*to)));
        pairs.filter(|(from, to)| from != to && *to != 0)
    }

    /// Adds a rule: `15=3`, `TERM=QUIT`, or `USR1=0` to drop a signal.
    pub fn add(&mut self, rule: &str) -> Result<()> {
        let (from, to) = rule
            .split_once('=')
            .ok_or_else(|| Error::usage(format!("{rule:?} is not a rule for signals: use SIGNAL=SIGNAL, such as 15=3 or TERM=QUIT, or USR1=0 to drop one")))?;
        let (from, to) = (parse(from)?, if to.trim() == "0" { 0 } else { parse(to)? });
        if FAULTS.contains(&from) || [libc::SIGCHLD, libc::SIGKILL, libc::SIGSTOP].contains(&from) {
            return Err(Error::usage(format!("{} cannot be rewritten, because it is never forwarded", name(from))));
        }
        self.0[from as usize] = to as u8;
        Ok(())
    }
}

/// Parses a signal: a number, a name with or without `SIG`, `RTMIN+3` or `RTMAX-1`.
pub fn parse(text: &str) -> Result<i32> {
    let text = text.trim();
    let upper = text.to_ascii_uppercase();
    let short = upper.strip_prefix("SIG").unwrap_or(&upper);
    let number = match short.parse::<i32>() {
        Ok(number) => Some(number),
        Err(_) => real_time(short).or_else(|| format!("SIG{short}").parse::<Signal>().ok().map(|known| known as i32)),
    };
    number.filter(|number| (1..=LAST).contains(number)).ok_or_else(|| {
        Error::usage(format!("{text:?} is not a signal: use a number from 1 to {LAST} or a name such as TERM"))
    })
}

fn real_time(short: &str) -> Option<i32> {
    let offset = |rest: &str, sign: char| match rest {
        "" => Some(0),
        rest => rest.strip_prefix(sign)?.parse::<u8>().ok().map(i32::from),
    };
    let number = match short.strip_prefix("RTMIN") {
        Some(rest) => FIRST_REAL_TIME + offset(rest, '+')?,
        None => LAST - offset(short.strip_prefix("RTMAX")?, '-')?,
    };
    Some(number).filter(|number| *number >= FIRST_REAL_TIME)
}

/// The name of a signal.
#[must_use]
pub fn name(signal: i32) -> String {
    match Signal::try_from(signal) {
        Ok(known) => known.as_str().to_owned(),
        Err(_) if signal >= FIRST_REAL_TIME => format!("SIGRTMIN+{}", signal - FIRST_REAL_TIME),
        Err(_) => format!("signal {signal}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn signals_are_read_by_number_and_by_name() {
        for (text, number) in [
            ("15", 15),
            ("TERM", 15),
            ("SIGTERM", 15),
            ("sigquit", 3),
            (" hup ", 1),
            ("32", 32),
            ("64", 64),
            ("RTMIN", 34),
            ("SIGRTMIN+3", 37),
            ("RTMAX-1", 63),
        ] {
            assert_eq!(parse(text).expect(text), number, "{text}");
        }
        for text in ["", "0", "65", "-1", "TERMS", "RTMIN-1", "RTMIN+31", "RTMAX-40", "15 3", "SIG", "1.5"] {
            assert!(parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn signals_are_forwarded_unchanged_by_default() {
        let passed: Vec<i32> = (0..=70).filter(|number| Routes::default().of(*number) == Some(*number)).collect();
        let not = [4, 5, 6, 7, 8, 11, 17, 20, 21, 22, 31];
        assert_eq!(passed, (1..=64).filter(|number| !not.contains(number)).collect::<Vec<_>>());
        assert!((0..=70).all(|number| Routes::default().of(number).is_none_or(|sent| sent == number)));
    }

    #[test]
    fn rules_swap_replace_and_drop() {
        let mut routes = Routes::default();
        for rule in ["1=31", "TERM=QUIT", "QUIT=TERM", "USR1=0", "TSTP=KILL", "64=10"] {
            routes.add(rule).expect(rule);
        }
        let sent: Vec<_> = [1, 15, 3, 10, 20, 64, 2].map(|number| routes.of(number)).into();
        assert_eq!(sent, [Some(31), Some(3), Some(15), None, Some(9), Some(10), Some(2)]);
        // The ten invalid rules of dumb-init's tests, and rules for signals that cannot be forwarded.
        for rule in [
            "", "=", "15", "15=", "=15", "0=1", "15:3", "a=b", "1=2=3", "15=3.5", "9=1", "CHLD=1", "SEGV=1", "-1=1",
            "65=1",
        ] {
            assert!(Routes::default().add(rule).is_err(), "{rule}");
        }
    }

    #[test]
    fn every_signal_has_a_name() {
        assert_eq!([15, 33, 37, 64].map(name), ["SIGTERM", "signal 33", "SIGRTMIN+3", "SIGRTMIN+30"]);
    }
}

//! Which signal a server is sent for one that came, by the kernel's numbers, 1 to 64; what signals are called.
//!
//! Everything is passed on as it is, but for SIGCHLD, which is about children of the sender, the signals of a fault,
//! which are about the process that made it, and the three by which a terminal stops a job. Those three can be rewritten.

use nix::{libc, sys::signal::Signal};

use super::signals::FAULTS;
use volume::error::{Error, Result};

/// The highest signal number on Linux.
const LAST: i32 = 64;

/// The first real-time signal that programs may use: the C libraries take 32 and 33 for themselves.
const FIRST_REAL_TIME: i32 = 34;

/// For each signal that comes, the one that is sent; 0 for none.
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
    /// The signal to send for this one; `None` where it is not passed on.
    #[must_use]
    pub fn of(&self, signal: i32) -> Option<i32> {
        let number = self.0.get(usize::try_from(signal).ok()?)?;
        (*number != 0).then_some(i32::from(*number))
    }

    /// Adds a rule: `15=3`, `TERM=QUIT`; `USR1=0` drops it.
    ///
    /// # Errors
    /// Where it is none, or is about a signal that cannot be passed on.
    pub fn add(&mut self, rule: &str) -> Result<()> {
        let (from, to) = rule
            .split_once('=')
            .ok_or_else(|| Error::usage(format!("{rule:?} rewrites no signal: say 15=3, TERM=QUIT or USR1=0")))?;
        let (from, to) = (parse(from)?, if to.trim() == "0" { 0 } else { parse(to)? });
        if FAULTS.contains(&from) || [libc::SIGCHLD, libc::SIGKILL, libc::SIGSTOP].contains(&from) {
            return Err(Error::usage(format!(
                "{} cannot be rewritten: it never reaches a server this way",
                name(from)
            )));
        }
        self.0[from as usize] = to as u8;
        Ok(())
    }
}

/// A signal: its number, or its name with or without `SIG`; `RTMIN+3`, `RTMAX-1`.
///
/// # Errors
/// Where there is no such signal.
pub fn parse(text: &str) -> Result<i32> {
    let text = text.trim();
    let upper = text.to_ascii_uppercase();
    let short = upper.strip_prefix("SIG").unwrap_or(&upper);
    let number = match short.parse::<i32>() {
        Ok(number) => Some(number),
        Err(_) => real_time(short).or_else(|| format!("SIG{short}").parse::<Signal>().ok().map(|known| known as i32)),
    };
    number
        .filter(|number| (1..=LAST).contains(number))
        .ok_or_else(|| Error::usage(format!("{text:?} is no signal: say a number from 1 to {LAST}, or a name")))
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

/// What a signal is called.
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
    fn all_that_can_be_is_passed_on_as_it_is() {
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
        // dumb-init's ten ways to say it wrongly, and those signals that nobody can pass on.
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

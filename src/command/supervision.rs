//! The settings of supervision, from options and variables.

use jiff::SignedDuration;

use super::{
    environment::{Environment, parse_duration},
    parse::Parsed,
};
use crate::entrypoint::{
    Supervision,
    supervise::{AfterGrace, Exits},
};
use process::{Routes, routes};
use volume::error::{Error, Result};

/// The default grace period, shorter than the 10 s that Docker waits.
const STOP_GRACE: SignedDuration = SignedDuration::from_secs(8);

/// The options of supervision. All but the last one need `--supervise`.
#[derive(Debug)]
pub struct Flags {
    supervise: bool,
    signal_group: bool,
    rewrite: Vec<String>,
    exit_code_map: Vec<String>,
    stop_grace: Option<String>,
    no_serve: bool,
    parent_death_signal: Option<String>,
}

impl Flags {
    pub(super) fn of(parsed: &Parsed) -> Result<Self> {
        Ok(Self {
            supervise: parsed.has("supervise"),
            signal_group: parsed.has("signal-group"),
            rewrite: parsed.list("rewrite")?,
            exit_code_map: parsed.list("exit-code-map")?,
            stop_grace: parsed.text("stop-grace")?.map(str::to_owned),
            no_serve: parsed.has("no-serve"),
            parent_death_signal: parsed.text("parent-death-signal")?.map(str::to_owned),
        })
    }

    pub(super) fn parent_death_signal(&self, environment: &Environment) -> Result<Option<i32>> {
        let variable = "MOORLINE_PARENT_DEATH_SIGNAL";
        let set = environment.text(&[variable])?.filter(|(_, text)| !text.is_empty());
        match (&self.parent_death_signal, set) {
            (Some(text), _) => routes::parse(text).map(Some).map_err(|error| error.context("--parent-death-signal")),
            (None, Some((name, text))) => routes::parse(&text).map(Some).map_err(|error| error.context(name)),
            (None, None) => Ok(None),
        }
    }

    /// The settings; `None` if the server replaces this process.
    pub(super) fn settings(&self, environment: &Environment) -> Result<Option<Supervision>> {
        if !self.supervise && !environment.switch("MOORLINE_SUPERVISE")? {
            return self.refuse_dependent_options().map(|()| None);
        }
        let grace = self.stop_grace.as_deref().map(parse_duration).transpose();
        let grace = grace.map_err(|error| error.context("--stop-grace"))?;
        let is_explicit = grace.is_some() || environment.text(&["MOORLINE_STOP_GRACE"])?.is_some();
        let grace = grace.map_or_else(|| environment.duration("MOORLINE_STOP_GRACE", STOP_GRACE), Ok)?;
        Ok(Some(Supervision {
            routes: routes(&self.rewrite, environment)?,
            whole_group: self.signal_group || environment.switch("MOORLINE_SIGNAL_GROUP")?,
            stop_grace: grace.unsigned_abs(),
            after_grace: if is_explicit { AfterGrace::Killed } else { AfterGrace::Left },
            exits: self.exits(environment)?,
        }))
    }

    /// Whether the console runs.
    pub(super) fn console(&self, environment: &Environment) -> Result<bool> {
        Ok(!self.no_serve && !environment.switch("MOORLINE_NO_SERVE")?)
    }

    fn refuse_dependent_options(&self) -> Result<()> {
        let given = [
            ("--signal-group", self.signal_group),
            ("--rewrite", !self.rewrite.is_empty()),
            ("--exit-code-map", !self.exit_code_map.is_empty()),
            ("--stop-grace", self.stop_grace.is_some()),
            ("--no-serve", self.no_serve),
        ];
        match given.into_iter().find(|(_, given)| *given) {
            Some((flag, _)) => Err(Error::usage(format!("{flag} needs --supervise"))
                .hint("add --supervise: without it, the server replaces moorline")),
            None => Ok(()),
        }
    }

    fn exits(&self, environment: &Environment) -> Result<Exits> {
        let mut exits = Exits::default();
        for (name, rule) in rules(&self.exit_code_map, "--exit-code-map", environment, "MOORLINE_EXIT_CODE_MAP")? {
            let codes = rule
                .split_once('=')
                .and_then(|(from, to)| Some((from.trim().parse::<u8>().ok()?, to.trim().parse::<u8>().ok()?)));
            let (from, to) = codes.ok_or_else(|| {
                Error::usage(format!("{name}: {rule:?} is not a mapping of exit codes: use CODE=CODE with codes from 0 to 255, such as 143=0"))
            })?;
            exits.map(from, to);
        }
        Ok(exits)
    }
}

/// The rewritten signals, from `--rewrite` or its variable.
pub(super) fn routes(given: &[String], environment: &Environment) -> Result<Routes> {
    let mut routes = Routes::default();
    for (name, rule) in rules(given, "--rewrite", environment, "MOORLINE_REWRITE")? {
        routes.add(&rule).map_err(|error| error.context(name))?;
    }
    Ok(routes)
}

/// The rules of the option, or else of the variable, each with the name of its source for error messages.
fn rules<'a>(
    given: &[String],
    flag: &'a str,
    environment: &Environment,
    variable: &'a str,
) -> Result<Vec<(&'a str, String)>> {
    if !given.is_empty() {
        return Ok(given.iter().map(|rule| (flag, rule.clone())).collect());
    }
    let text = environment.text(&[variable])?.map(|(_, text)| text).unwrap_or_default();
    let rules = text.split(',').filter(|rule| !rule.trim().is_empty());
    Ok(rules.map(|rule| (variable, rule.to_owned())).collect())
}

//! The tables of the commands that `moorline` carries out itself. `moorline` parses command lines with them, and the
//! engine prints them in help, completions and man pages, so that the two cannot differ.

/// The variable that names the storage root.
pub const STORAGE_VARIABLE: &str = "MOORLINE_STORAGE";
/// The storage root if neither `--storage` nor [`STORAGE_VARIABLE`] is set.
pub const DEFAULT_STORAGE: &str = "/data";

/// A command of `moorline`.
#[derive(Debug)]
pub struct Definition {
    /// The name.
    pub name: &'static str,
    /// One line for the list of commands.
    pub about: &'static str,
    /// Further lines of its help; may be empty.
    pub details: &'static str,
    /// Its options, without [`GLOBAL`].
    pub options: &'static [Opt],
    /// The arguments after the options.
    pub rest: Rest,
    /// Whether help omits it, because only moorline itself uses it.
    pub hidden: bool,
}

/// An option of a command.
#[derive(Debug)]
pub struct Opt {
    /// The name without dashes.
    pub name: &'static str,
    /// The placeholder of its value; `None` for a switch.
    pub value: Option<&'static str>,
    /// Whether it can be repeated and can take a list with commas.
    pub many: bool,
    /// The help text.
    pub help: &'static str,
}

/// The arguments that a command takes after its options.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rest {
    /// Nothing.
    Nothing,
    /// A program and its arguments, behind `--`.
    AfterDashes,
    /// Arguments, with or without `--`.
    Arguments,
}

const fn switch(name: &'static str, help: &'static str) -> Opt {
    Opt { name, value: None, many: false, help }
}

const fn value(name: &'static str, value: &'static str, help: &'static str) -> Opt {
    Opt { name, value: Some(value), many: false, help }
}

const fn values(name: &'static str, value: &'static str, help: &'static str) -> Opt {
    Opt { name, value: Some(value), many: true, help }
}

/// Options of every command.
pub const GLOBAL: &[Opt] = &[
    value("storage", "DIR", "The storage root: where the volume is mounted [env: MOORLINE_STORAGE] [default: /data]"),
    value(
        "profile",
        "NAME|FILE",
        "The profile that describes the server: a built-in one, or a file [env: MOORLINE_PROFILE]",
    ),
    value(
        "log-format",
        "text|plain|clef",
        "Format of the log on stderr: text with time stamps, text without (plain), or one JSON object per line (clef) [env: MOORLINE_LOG_FORMAT]",
    ),
];

const STRICT_PERMISSIONS: Opt =
    switch("strict-permissions", "Refuse scripts that every user can write [env: MOORLINE_STRICT_PERMISSIONS]");
const USER: Opt = value(
    "user",
    "USER",
    "User that the server and scripts run as: NAME or UID, and :GROUP or :GID [env: MOORLINE_USER]",
);
const CHOWN_VOLUME: Opt = value(
    "chown-volume",
    "auto|never|always",
    "Whether the user becomes the owner of the volume: of its root if it is empty (auto), or of everything on it [env: MOORLINE_CHOWN_VOLUME]",
);
const REWRITE: Opt = values(
    "rewrite",
    "SIGNAL=SIGNAL",
    "Send the server a different signal from the one received: 15=3, TERM=QUIT; USR1=0 drops it [env: MOORLINE_REWRITE]",
);
const HEALTH: Opt = value(
    "health",
    "CHECK",
    "How to check that the server is healthy: http://HOST:PORT/PATH, tcp:HOST:PORT or alive:DURATION [env: MOORLINE_HEALTH]",
);

/// All commands that `moorline` carries out itself.
pub const COMMANDS: &[Definition] = &[
    Definition {
        name: "run",
        about: "Run the init scripts, then start the server",
        details: "The server replaces this process: it has its process ID and gets every signal. With `--supervise` the \
                  server is a child, and the console runs beside it. Without a command, the console is the server.",
        options: &[
            STRICT_PERMISSIONS,
            USER,
            CHOWN_VOLUME,
            switch("no-boot-backup", "Do not take a backup before the server starts [env: MOORLINE_NO_BOOT_BACKUP]"),
            switch(
                "accept-new-key",
                "Accept a configured key that differs from the one that sealed this volume's backups [env: MOORLINE_ACCEPT_NEW_KEY]",
            ),
            HEALTH,
            switch(
                "supervise",
                "Stay PID 1: the server is a child, gets every signal, and orphaned processes are reaped [env: MOORLINE_SUPERVISE]",
            ),
            switch("signal-group", "Send signals to the server's whole process group [env: MOORLINE_SIGNAL_GROUP]"),
            REWRITE,
            values(
                "exit-code-map",
                "CODE=CODE",
                "Exit with a different code from the server's: 143=0 [env: MOORLINE_EXIT_CODE_MAP]",
            ),
            value(
                "stop-grace",
                "DURATION",
                "Grace period of all processes after SIGTERM; if given, a server that still runs then is killed (8s) [env: MOORLINE_STOP_GRACE]",
            ),
            switch("no-serve", "Do not run the console beside the server [env: MOORLINE_NO_SERVE]"),
            value(
                "parent-death-signal",
                "SIGNAL",
                "The signal that this process gets when its parent ends [env: MOORLINE_PARENT_DEATH_SIGNAL]",
            ),
        ],
        rest: Rest::AfterDashes,
        hidden: false,
    },
    Definition {
        name: "init",
        about: "Run the init scripts, and exit",
        details: "",
        options: &[STRICT_PERMISSIONS, USER, CHOWN_VOLUME, REWRITE],
        rest: Rest::Nothing,
        hidden: false,
    },
    Definition {
        name: "health",
        about: "Check whether the server is healthy: exit 0 or 1",
        details: "",
        options: &[
            HEALTH,
            switch("startup", "Report healthy while init or a restore is still running: for a startup probe"),
            switch("json", "Print one object"),
        ],
        rest: Rest::Nothing,
        hidden: false,
    },
    Definition {
        name: "install",
        about: "Copy moorline into a folder: for an init container, so that any image can use it",
        details: "",
        options: &[],
        rest: Rest::Arguments,
        hidden: false,
    },
    Definition {
        name: "shell",
        about: "Start a shell instead of the server; no init script runs",
        details: "",
        options: &[],
        rest: Rest::Arguments,
        hidden: false,
    },
    Definition {
        name: "after-start",
        about: "Run the scripts of Init/ready.d/ once the server is healthy; moorline starts this itself",
        details: "",
        options: &[STRICT_PERMISSIONS, USER],
        rest: Rest::Nothing,
        hidden: true,
    },
];

/// The commands that the engine carries out.
pub const OF_ENGINE: &[&str] = &[
    "serve",
    "backup",
    "list",
    "verify",
    "inspect",
    "extract",
    "restore",
    "rollback",
    "apps",
    "instance",
    "status",
    "profiles",
    "profile",
    "show-key",
    "hash-password",
    "console",
    "completions",
    "man",
    "help",
    "recover",
    "holds-state",
    "capture-guard",
    "finish-captures",
];

/// The definition of a command that `moorline` carries out itself.
#[must_use]
pub fn find(name: &str) -> Option<&'static Definition> {
    COMMANDS.iter().find(|command| command.name == name)
}

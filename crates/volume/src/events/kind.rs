//! The kinds of event there are: name, level, message template.

use std::fmt;

/// How bad it is, in Seq's words.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// As it should be.
    Information,
    /// Somebody should look.
    Warning,
    /// Something that was wanted did not happen.
    Error,
}

impl Level {
    /// `Information`, `Warning`, `Error`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Information => "Information",
            Self::Warning => "Warning",
            Self::Error => "Error",
        }
    }
}

macro_rules! kinds {
    ($($kind:ident $level:ident $template:literal;)*) => {
        /// What happened.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum Kind {
            $(#[doc = $template] $kind,)*
        }

        impl Kind {
            /// All of them.
            pub const ALL: &[Self] = &[$(Self::$kind),*];

            /// Its name: the event type, `@i`.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self { $(Self::$kind => stringify!($kind),)* }
            }

            /// Its level.
            #[must_use]
            pub const fn level(self) -> Level {
                match self { $(Self::$kind => Level::$level,)* }
            }

            /// Its message template (<https://messagetemplates.org>): `{Name}` stands for the property of that name.
            #[must_use]
            pub const fn template(self) -> &'static str {
                match self { $(Self::$kind => $template,)* }
            }
        }
    };
}

kinds! {
    BackupComplete Information "Backup complete: {FileName}, {FileSizeBytes} bytes in {ElapsedSeconds} s";
    BackupSent Information "A backup of {FileSizeBytes} bytes was made in {ElapsedSeconds} s and sent, not kept";
    BackupFailed Error "Backup failed: {Error}";
    BackupMissed Error "No backup was made for {Due}: the newest is of {Newest}";
    BackupUnverified Error "Backup {FileName} has faults of its databases: {Error}";
    BackupSuspect Error "Backup {FileName} is suspect: {Reason}; no backup is removed until somebody says otherwise";
    BackupRemoved Information "Backup {FileName} was removed: the {Keep} newest are kept";
    BackupVerified Information "Backup {FileName} was verified in full";
    VerificationFailed Error "Backup {FileName} is not what it was: {Error}";
    BackupUploaded Information "Backup {FileName} was uploaded by {Username}";
    RestoreRequested Warning "Restore of {FileName} was requested by {Username}: {Script} runs at the next start";
    RestoreApplied Warning "Backup {FileName} of {Created} was restored ({RestoreId})";
    RestoreFailed Error "The restore of {FileName} failed, and the state is as it was: {Error}";
    RestoreUndone Warning "Restore {RestoreId} was undone";
    RollbackFailed Error "What a restore had replaced was not brought back: {Error}";
    RollbackRequested Warning "Rollback of {RestoreId} was requested by {Username}: {Script} runs at the next start";
    ScriptRan Information "Init script {Script} is done";
    ScriptFailed Error "Init script {Script} failed: {Error}";
    ServerExited Warning "The server ended by itself, with exit code {ExitCode}";
    ServerStopped Information "The server was stopped, and ended with exit code {ExitCode}";
    QuarantineEntered Warning "{Count} apps were switched off";
    AppsReleased Warning "{Count} apps were put back on";
    AppsReleaseRequested Warning "{Username} requested that apps be put back on at the next start of the server";
    SecretKeyNotBackedUp Warning "Nobody has said that the secret key {KeyFingerprint} is kept outside the volume";
    SecretKeyBackedUp Information "{Username} says that the secret key {KeyFingerprint} is kept outside the volume";
    AppFailed Error "App {AppTitle} could not send {EventType}: {Error}";
    ConsoleStarted Information "The console listens on {Address}";
    ConsoleNotListening Warning "The console does not listen on {Address}: {Error}";
    UserCreated Information "User {Username} was created by {By}";
    UserChanged Information "User {Username} was changed by {By}";
    UserRemoved Information "User {Username} was removed by {By}";
    LoginFailed Warning "{Address} could not log in as {Username}";
    SettingChanged Information "Setting {SettingName} was changed by {Username}";
    ApiKeyCreated Information "API key {Title} was created by {By}";
    ApiKeyChanged Information "API key {Title} was changed by {By}";
    ApiKeyRemoved Information "API key {Title} was removed by {By}";
    AppCreated Information "App {AppTitle} was created by {By}";
    AppChanged Information "App {AppTitle} was changed by {By}";
    AppRemoved Information "App {AppTitle} was removed by {By}";
    SignalCreated Information "Signal {Title} was created by {By}";
    SignalChanged Information "Signal {Title} was changed by {By}";
    SignalRemoved Information "Signal {Title} was removed by {By}";
}

impl Kind {
    /// Whether somebody at the console, logged in or not, can have as many of these as they like; an app that fails is
    /// told of once for each event that it is sent.
    #[must_use]
    pub const fn is_at_will(self) -> bool {
        matches!(
            self,
            Self::LoginFailed
                | Self::AppFailed
                | Self::SettingChanged
                | Self::UserCreated
                | Self::UserChanged
                | Self::UserRemoved
                | Self::ApiKeyCreated
                | Self::ApiKeyChanged
                | Self::ApiKeyRemoved
                | Self::AppCreated
                | Self::AppChanged
                | Self::AppRemoved
                | Self::SignalCreated
                | Self::SignalChanged
                | Self::SignalRemoved
        )
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

//! Hashes of passwords: Argon2id (RFC 9106) with OWASP's parameters (m = 19 MiB, t = 2, p = 1), as PHC strings.

use argon2::{
    Argon2, Params,
    password_hash::{PasswordHash, PasswordHasher, PasswordVerifier, SaltString},
};

use volume::error::{Code, Error, Result};

/// The minimum length of a password, in characters.
pub const SHORTEST: usize = 8;
/// In bytes.
const LONGEST: usize = 1024;
/// In KiB. A hash from elsewhere must not use up the memory of the container.
const MOST_MEMORY: u32 = 262_144;
const MOST_ROUNDS: u32 = 16;
const MOST_LANES: u32 = 8;

/// Checks the length of a new password; fails with `Usage`.
pub fn acceptable(password: &str) -> Result<()> {
    if password.chars().count() < SHORTEST {
        return Err(Error::usage(format!("the password is too short: at least {SHORTEST} characters")));
    }
    if password.len() > LONGEST {
        return Err(Error::usage(format!("the password is too long: at most {LONGEST} bytes")));
    }
    Ok(())
}

/// Hashes a password, with a random salt. This takes 19 MiB and about 20 ms.
pub fn hash(password: &str) -> Result<String> {
    let bug = |cause: &dyn std::fmt::Display| Error::new(Code::Bug, format!("cannot hash a password: {cause}"));
    let mut salt = [0; 16];
    getrandom::fill(&mut salt)
        .map_err(|cause| Error::new(Code::Unexpected, format!("cannot read random numbers: {cause}")))?;
    let salt = SaltString::encode_b64(&salt).map_err(|cause| bug(&cause))?;
    let hash = Argon2::default().hash_password(password.as_bytes(), &salt).map_err(|cause| bug(&cause))?;
    Ok(hash.to_string())
}

/// Checks that a text is a hash as [`hash`] returns it, with bounded parameters.
pub fn check_hash(text: &str) -> Result<()> {
    let wrong = |why: &str| {
        Error::usage(format!("the password hash is not usable: {why}")).hint("create one with `moorline hash-password`")
    };
    let hash = PasswordHash::new(text).map_err(|_| wrong("it is not a PHC string"))?;
    if hash.algorithm.as_str() != "argon2id" || hash.hash.is_none() || hash.salt.is_none() {
        return Err(wrong("it is not an Argon2id hash"));
    }
    let params = Params::try_from(&hash).map_err(|_| wrong("its parameters are invalid"))?;
    if params.m_cost() > MOST_MEMORY || params.t_cost() > MOST_ROUNDS || params.p_cost() > MOST_LANES {
        return Err(wrong("its parameters need too much memory or time"));
    }
    Ok(())
}

/// Checks a password. Without a hash (no such user) it takes the same time, so that timing reveals no user names.
#[must_use]
pub fn verify(password: &str, hash: Option<&str>) -> bool {
    /// The hash of a random text that was not kept.
    const DUMMY_HASH: &str =
        "$argon2id$v=19$m=19456,t=2,p=1$cmFuZG9tIHNhbHQgMTYh$2V1o0oVXb8TnYxZp3mM3a1sZ5e4cQ0x1yJm7w9bVq3E";
    let password = if password.len() > LONGEST { "" } else { password };
    let parsed = hash.filter(|hash| check_hash(hash).is_ok()).and_then(|hash| PasswordHash::new(hash).ok());
    match parsed {
        Some(hash) => Argon2::default().verify_password(password.as_bytes(), &hash).is_ok() && !password.is_empty(),
        None => {
            let dummy = PasswordHash::new(DUMMY_HASH);
            std::hint::black_box(
                dummy.is_ok_and(|hash| Argon2::default().verify_password(password.as_bytes(), &hash).is_ok()),
            );
            false
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hash_matches_its_password_only() {
        let kept = hash("correct horse").expect("hashes");
        assert!(kept.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"), "{kept}");
        check_hash(&kept).expect("is valid");
        assert!(verify("correct horse", Some(&kept)));
        assert!(!verify("correct horsf", Some(&kept)));
        assert!(!verify("", Some(&kept)));
        assert!(!verify("correct horse", None));
        assert_ne!(kept, hash("correct horse").expect("hashes"), "the salt is random");
    }

    #[test]
    fn the_dummy_hash_is_valid() {
        // Otherwise the response to an unknown user name would be faster.
        let dummy = "$argon2id$v=19$m=19456,t=2,p=1$cmFuZG9tIHNhbHQgMTYh$2V1o0oVXb8TnYxZp3mM3a1sZ5e4cQ0x1yJm7w9bVq3E";
        check_hash(dummy).expect("is one");
    }

    #[test]
    fn invalid_and_expensive_hashes_are_refused() {
        for wrong in [
            "",
            "plain",
            "$2b$12$abcdefghijklmnopqrstuv",
            "$argon2id$v=19$m=4194304,t=2,p=1$c29tZXNhbHQxMjM0$2V1o0oVXb8TnYxZp3mM3a1sZ5e4cQ0x1yJm7w9bVq3E",
            "$argon2id$v=19$m=19456,t=1000000,p=1$c29tZXNhbHQxMjM0$2V1o0oVXb8TnYxZp3mM3a1sZ5e4cQ0x1yJm7w9bVq3E",
            "$argon2i$v=19$m=19456,t=2,p=1$c29tZXNhbHQxMjM0$2V1o0oVXb8TnYxZp3mM3a1sZ5e4cQ0x1yJm7w9bVq3E",
        ] {
            assert_eq!(check_hash(wrong).expect_err(wrong).code(), Code::Usage);
        }
    }
}

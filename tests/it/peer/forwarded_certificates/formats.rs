//! The forms in which proxies write certificates: what is read of each, and what is refused.

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD, URL_SAFE};
use sha2::{Digest, Sha256};

use super::CertificateFormat::{Base64Der, ClientCert, EscapedPem, Xfcc};
use super::{FORMATS, der, escaped, hex, pem, read, written};

#[test]
fn each_form_is_read() {
    for length in [1, 127, 128, 255, 256, 1200, 5000] {
        let der = der(length);
        let thumbprint: [u8; 32] = Sha256::digest(&der).into();
        for (format, _) in FORMATS {
            let value = written(format, &der);
            assert_eq!(
                read(format, &value),
                Ok(Some(thumbprint)),
                "{format:?} {length}"
            );
        }
    }
    for (format, _) in FORMATS {
        assert_eq!(read(format, ""), Ok(None), "{format:?}");
    }
}

#[test]
fn proxies_may_write_it_in_other_ways() {
    let der = der(300);
    let thumbprint: [u8; 32] = Sha256::digest(&der).into();
    let (pem, hash) = (pem(&der), hex(&der));
    let crlf = escaped(&pem.replace('\n', "\r\n"));
    let cert = escaped(&pem);
    for (format, value) in [
        (EscapedPem, crlf),
        (EscapedPem, escaped(pem.trim_end())),
        // Load balancers of AWS leave the characters of base64 as they are.
        (
            EscapedPem,
            cert.replace("%2B", "+")
                .replace("%2F", "/")
                .replace("%3D", "="),
        ),
        (EscapedPem, cert.replace("%2F", "%2f").replace("%0A", "%0a")),
        (EscapedPem, cert.replace('-', "%2D")),
        (Xfcc, format!("Hash={hash}")),
        (Xfcc, format!("hash={}", hash.to_uppercase())),
        (Xfcc, format!("Cert=\"{cert}\"")),
        (Xfcc, format!("CERT={cert}")),
        (
            Xfcc,
            format!(
                "By=spiffe://cluster.local/ns/a/sa/b;Hash={hash};Cert=\"{cert}\";\
                 Chain=\"{cert}{cert}\";Subject=\"CN=a\\\"b,O=x;y\";URI=spiffe://c?d=e;\
                 DNS=a.example;DNS=b.example"
            ),
        ),
        (Xfcc, format!("Hash=\"{hash}\"")),
    ] {
        assert_eq!(read(format, &value), Ok(Some(thumbprint)), "{value}");
    }
}

#[test]
fn what_cannot_be_read_in_one_way_is_refused() {
    let (one, other) = (der(101), der(102));
    let (base64, hash) = (STANDARD.encode(&one), hex(&one));
    let cert = escaped(&pem(&one));
    let both = escaped(&(pem(&one) + &pem(&other)));
    let trailing = STANDARD.encode([&one[..], b"\0"].concat());
    let short = STANDARD.encode(&one[..one.len() - 1]);
    let huge = "A".repeat(16 * 1024 + 1);
    let in_pem = |der: &[u8]| escaped(&pem(der));
    let all = |values: Vec<String>, format| values.into_iter().map(move |value| (format, value));
    let client_cert = vec![
        base64.clone(),
        format!(":{base64}"),
        format!("{base64}:"),
        ":".into(),
        "::".into(),
        ":::".into(),
        format!(":{base64}:, :{base64}:"),
        format!(":{base64}:,:{}:", STANDARD.encode(&other)),
        format!(":{base64}:;a=1"),
        format!(":{base64}: "),
        format!(":{base64}::"),
        format!(": {base64}:"),
        format!("\"{base64}\""),
        format!(":{}:", URL_SAFE.encode(&one)),
        format!(":{}:", base64.trim_end_matches('=')),
        format!(":{}\t{}:", &base64[..64], &base64[64..]),
        format!(":{trailing}:"),
        format!(":{short}:"),
        format!(":{huge}:"),
        cert.clone(),
        format!("Hash={hash}"),
    ];
    let escaped_pem = vec![
        both,
        pem(&one).replace('\n', " "),
        pem(&one).replace('\n', "\t"),
        cert.replace('%', "%25"),
        cert.replacen("%0A", "%0", 1),
        cert.replacen("%0A", "%", 1),
        cert.replacen("%0A", "%zz", 1),
        cert.replacen("%0A", "%+A", 1),
        cert.replacen("%20", "+", 1),
        cert.replacen("%20", "", 1),
        cert.replacen("%0A", "%00", 1),
        cert.replacen("%0A", "%20", 1),
        cert.replacen("%0A", "%C3%A4", 1),
        format!("{cert}%0A"),
        format!("%0A{cert}"),
        format!("{cert}A"),
        format!("{cert}%"),
        format!("\"{cert}\""),
        cert.replace("CERTIFICATE", "TRUSTED%20CERTIFICATE"),
        cert.replace("CERTIFICATE", "PRIVATE%20KEY"),
        cert[..cert.len() - 3].replace("END%20", ""),
        escaped("-----BEGIN CERTIFICATE-----\n-----END CERTIFICATE-----\n"),
        escaped("-----BEGIN CERTIFICATE-----"),
        escaped("-----END CERTIFICATE-----"),
        escaped(&pem(&one).replace("-----\nM", "-----\nProc-Type: 4,ENCRYPTED\n\nM")),
        in_pem(&one[..one.len() - 1]),
        in_pem(&[&one[..], &one[..]].concat()),
        base64.clone(),
        huge.clone(),
    ];
    let base64_der = vec![
        "(null)".into(),
        "-".into(),
        format!("\"{base64}\""),
        format!("{base64},{base64}"),
        format!("{base64}{base64}"),
        format!("{base64} {base64}"),
        format!("{base64}="),
        STANDARD_NO_PAD.encode(&one),
        URL_SAFE.encode(&one),
        trailing,
        short,
        huge.clone(),
        format!(":{base64}:"),
        cert.clone(),
        hash.clone(),
    ];
    let xfcc = vec![
        "Hash=".into(),
        "Hash".into(),
        "=".into(),
        ";".into(),
        ",".into(),
        hash.clone(),
        format!("Hash={}", &hash[1..]),
        format!("Hash={hash}0"),
        format!("Hash={}g", &hash[1..]),
        format!("Hash={}+", &hash[1..]),
        format!("Hash=0x{}", &hash[2..]),
        format!("Hash= {}", &hash[1..]),
        format!("Hash={hash};"),
        format!(";Hash={hash}"),
        format!("Hash={hash};;By=x"),
        format!("Hash={hash},"),
        format!(",Hash={hash}"),
        format!("Hash={hash},Hash={hash}"),
        format!("By=x;Hash={hash}, By=y;Hash={}", hex(&other)),
        format!("Hash={hash};Hash={hash}"),
        format!("Hash={hash};hash={}", hex(&other)),
        format!("Hash={hash};Cert=\"{cert}\";Cert=\"{cert}\""),
        format!("Hash={};Cert=\"{cert}\"", hex(&other)),
        format!("Hash={hash};Cert=\"\""),
        format!("Hash={hash};Cert=\"{cert}"),
        format!("Hash={hash};Cert=\"{cert}\"x"),
        format!("Hash={hash};Cert=\"{cert}\\\""),
        format!("Hash={hash};Subject=\"CN=a"),
        format!("Hash={hash};Subject=a\"b\""),
        format!("Hash=\"{hash};By=x"),
        format!("Hash=\"\\{hash}\""),
        format!("Hash={hash};x"),
        format!("\"Hash\"={hash}"),
        "By=spiffe://a;URI=spiffe://b".into(),
        format!("Chain=\"{cert}\""),
        format!("Hash={hash};Chain=\"{huge}\""),
        cert,
        base64,
    ];
    let cases = all(client_cert, ClientCert)
        .chain(all(escaped_pem, EscapedPem))
        .chain(all(base64_der, Base64Der))
        .chain(all(xfcc, Xfcc));
    for (format, value) in cases {
        let detail = read(format, &value);
        let cut = &value[..value.len().min(200)];
        assert!(detail.is_err(), "{format:?} {cut}");
    }
}

/// X.690 sections 8.1.3 and 10.1.
#[test]
fn only_one_whole_der_sequence_is_a_certificate() {
    let padded = |head: &[u8], length: usize| [head, &vec![0; length][..]].concat();
    for (der, is_one) in [
        (padded(&[0x30, 1], 1), true),
        (padded(&[0x30, 0x7f], 0x7f), true),
        (padded(&[0x30, 0x81, 0x80], 0x80), true),
        (padded(&[0x30, 0x81, 0xff], 0xff), true),
        (padded(&[0x30, 0x82, 1, 0], 0x100), true),
        (padded(&[0x30, 0], 0), false),
        (padded(&[0x30], 0), false),
        (padded(&[], 0), false),
        (padded(&[0x31, 1], 1), false),
        (padded(&[0x30, 0x80], 4), false),
        (padded(&[0x30, 2], 1), false),
        (padded(&[0x30, 1], 2), false),
        // A length in more bytes than it needs.
        (padded(&[0x30, 0x81, 0x7f], 0x7f), false),
        (padded(&[0x30, 0x82, 0, 0xff], 0xff), false),
        (padded(&[0x30, 0x83, 0, 1, 0], 0x100), false),
        (padded(&[0x30, 0x81], 0), false),
        (padded(&[0x30, 0x82, 1], 0), false),
        (padded(&[0x30, 0xff], 0x7f), false),
    ] {
        let thumbprint: [u8; 32] = Sha256::digest(&der).into();
        let value = STANDARD.encode(&der);
        match (read(Base64Der, &value), is_one) {
            (Ok(Some(found)), true) => assert_eq!(found, thumbprint),
            (Ok(None), _) => assert!(der.is_empty()),
            (found, is_one) => assert!(found.is_err() && !is_one, "{value}: {found:?}"),
        }
    }
}

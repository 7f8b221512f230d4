//! How a credential is read, and what is no credential: the same for every provider.

use common::{
    Answering, Guard, ask, good_token, guards, hs256_layer, jwt_guard, request, request_to,
};
use http::HeaderName;
use http::header::AUTHORIZATION;
use tower_mcp_auth::auth::{AuthLayer, Authentication};
use tower_mcp_auth::auth::{CredentialMatcher, ProviderInfo};
use tower_mcp_auth::jose::Secret;
use tower_mcp_auth::{JwtLayer, Location, Principal};

#[tokio::test]
async fn the_same_header_twice_is_refused_whatever_it_says() {
    for guard in guards() {
        let (header, good) = (guard.header, guard.good.as_str());
        for (first, second) in [
            (good, good),
            (good, "Bearer other"),
            ("Bearer other", good),
            (good, ""),
            ("", good),
            (good, "Basic dXNlcjpwYXNz"),
            ("Basic dXNlcjpwYXNz", good),
        ] {
            let twice = request(&[(header, first), (header, second)]);
            ask(&guard.layer, twice)
                .await
                .malformed("duplicate_credential");
        }
    }
}

#[tokio::test]
async fn headers_no_provider_reads_may_repeat() {
    let [api_key, jwt] = guards();
    let other = [("authorization", "Bearer a"), ("authorization", "Bearer b")];
    let request_a = request(&[other[0], other[1], ("x-api-key", &*api_key.good)]);
    assert_eq!(
        ask(&api_key.layer, request_a)
            .await
            .admitted()
            .headers
            .get_all("authorization")
            .iter()
            .count(),
        2
    );
    let request_b = request(&[
        ("x-api-key", "a"),
        ("x-api-key", "b"),
        ("authorization", &*jwt.good),
    ]);
    assert_eq!(
        ask(&jwt.layer, request_b)
            .await
            .admitted()
            .headers
            .get_all("x-api-key")
            .iter()
            .count(),
        2
    );
}

fn two_locations() -> (Answering, AuthLayer<Answering>) {
    let provider = Answering::accepting().locations([
        Location::bearer(),
        Location::scheme(AUTHORIZATION, "ApiKey"),
        Location::bare(HeaderName::from_static("x-api-key")),
    ]);
    (provider.clone(), AuthLayer::new(provider))
}

#[tokio::test]
async fn two_credentials_of_different_providers_are_refused_before_either_is_asked() {
    let (provider, layer) = two_locations();
    for authorization in ["Bearer a", "bearer a", "ApiKey a"] {
        let both = request(&[("authorization", authorization), ("x-api-key", "b")]);
        ask(&layer, both).await.malformed("multiple_credentials");
    }
    assert_eq!(provider.asked(), 0);
}

#[tokio::test]
async fn one_of_several_locations_is_found_and_what_is_no_credential_does_not_count() {
    let (provider, layer) = two_locations();
    for headers in [
        &[("authorization", "Bearer a")][..],
        &[("authorization", "apikey a")],
        &[("x-api-key", "a")],
        &[("x-api-key", "a"), ("authorization", "Basic dXNlcjpwYXNz")],
        &[("x-api-key", "a"), ("authorization", "Bearer")],
        &[("x-api-key", ""), ("authorization", "Bearer a")],
    ] {
        ask(&layer, request(headers)).await.admitted();
    }
    assert_eq!(provider.asked(), 6);
    ask(&layer, request(&[("x-api-key", "")])).await.missing();
    let malformed = request(&[("x-api-key", ""), ("authorization", "Bearer a b")]);
    ask(&layer, malformed)
        .await
        .malformed("malformed_credential");
    // Two are two, whatever they are like.
    let both = request(&[("x-api-key", "a"), ("authorization", "Bearer a b")]);
    ask(&layer, both).await.malformed("multiple_credentials");
    assert_eq!(provider.asked(), 6);
}

#[tokio::test]
async fn a_provider_is_told_where_the_credential_was() {
    let provider = Answering::new(|credential| {
        assert_eq!(credential.value(), "abc");
        assert_eq!(*credential.location().header(), "x-other");
        assert!(!format!("{credential:?}").contains("abc"));
        Authentication::Ready(Ok(common::provider::alice()))
    })
    .locations([
        Location::bearer(),
        Location::bare(HeaderName::from_static("x-other")),
    ]);
    ask(&AuthLayer::new(provider), request(&[("x-other", "abc")]))
        .await
        .admitted();
}

#[tokio::test]
async fn a_credential_of_no_providers_shape_is_invalid() {
    #[derive(Clone, Debug)]
    struct Picky;
    impl tower_mcp_auth::auth::Authenticate for Picky {
        fn describe(&self) -> ProviderInfo {
            let keys = CredentialMatcher::prefixed(Location::bearer(), "pk-");
            ProviderInfo::new("picky").matcher(keys)
        }
        fn authenticate(
            &self,
            _: &tower_mcp_auth::Credential<'_>,
            _: tower_mcp_auth::RequestHead<'_>,
        ) -> Authentication {
            Authentication::Ready(Ok(common::provider::alice()))
        }
    }
    let layer = AuthLayer::new(Picky).boxed();
    ask(&layer, request(&[("authorization", "Bearer pk-1")]))
        .await
        .admitted();
    ask(&layer, request(&[("authorization", "Bearer sk-1")]))
        .await
        .invalid("unaccepted_credential");
}

/// What is expected of a header value.
#[derive(Clone, Copy, Debug)]
enum Outcome {
    Good,
    Missing,
    Malformed,
    Invalid,
}
use Outcome::{Good, Invalid, Malformed, Missing};

async fn check(guard: &Guard, value: &[u8], outcome: Outcome) {
    println!("{}: {:?}", guard.name, String::from_utf8_lossy(value));
    let answer = ask(&guard.layer, request(&[(guard.header, value)])).await;
    match outcome {
        Good => drop(answer.admitted()),
        Missing => answer.missing(),
        Malformed => answer.malformed("malformed_credential"),
        Invalid => {
            assert_eq!(answer.status, 401);
            assert_eq!(
                answer.error().kind(),
                tower_mcp_auth::AuthErrorKind::Invalid
            );
        }
    }
}

#[tokio::test]
async fn the_scheme_and_its_spacing_are_read_as_rfc_9110_writes_them() {
    let guard = jwt_guard();
    for (value, outcome) in [
        ("Bearer T", Good),
        ("bearer T", Good),
        ("BEARER T", Good),
        ("bEaReR T", Good),
        ("Bearer  T", Good),
        ("Bearer          T", Good),
        ("Bearer T ", Good),
        ("Bearer T\t", Good),
        (" Bearer T", Good),
        ("\t Bearer T \t", Good),
        ("Bearer\tT", Malformed),
        ("Bearer \tT", Malformed),
        ("Bearer\t T", Malformed),
        ("Bearer,T", Malformed),
        ("Bearer, T", Malformed),
        ("Bearer: T", Malformed),
        ("Bearer=T", Malformed),
        ("Bearer:T", Malformed),
        ("Bearer T,", Malformed),
        ("Bearer T,T", Malformed),
        ("Bearer T, Bearer T", Malformed),
        ("Bearer T, Basic dXNlcjpwYXNz", Malformed),
        ("Bearer T T", Malformed),
        ("Bearer Bearer T", Malformed),
        ("Bearer \"T\"", Malformed),
        ("Bearer token=T", Malformed),
        // No credential at all.
        ("", Missing),
        (" ", Missing),
        ("Bearer", Missing),
        ("bearer", Missing),
        ("Bearer ", Missing),
        ("Bearer    ", Missing),
        ("Bearer \t", Missing),
        // Other schemes.
        ("Basic dXNlcjpwYXNz", Missing),
        ("Basic", Missing),
        ("Digest username=\"x\"", Missing),
        ("Negotiate YII=", Missing),
        ("DPoP T", Missing),
        ("Token T", Missing),
        ("BearerT", Missing),
        ("Bearers T", Missing),
        ("Bearer-Token T", Missing),
        ("Bearer_ T", Missing),
        ("XBearer T", Missing),
        ("T", Missing),
        ("Bear er T", Missing),
    ] {
        let value = value.replace('T', &guard.credential);
        // The letter stands in `Token` and `BearerT` too: schemes all the same.
        check(&guard, value.as_bytes(), outcome).await;
    }
}

#[tokio::test]
async fn characters_outside_b64token_are_malformed_and_all_inside_are_the_providers_to_judge() {
    for guard in guards() {
        let prefix = if guard.header == "authorization" {
            "Bearer "
        } else {
            ""
        };
        for byte in (0x20..=0xff_u8).filter(|byte| *byte != 0x7f).chain([b'\t']) {
            let mut value = format!("{prefix}abcdefghijklmnop").into_bytes();
            value.push(byte);
            value.extend_from_slice(b"qrstuvwxyz");
            let inside = byte.is_ascii_alphanumeric() || b"-._~+/".contains(&byte);
            check(&guard, &value, if inside { Invalid } else { Malformed }).await;
        }
        for (value, outcome) in [
            ("=", Malformed),
            ("==", Malformed),
            ("=abc", Malformed),
            ("abc=def", Malformed),
            ("abc=", Invalid),
            ("abc====", Invalid),
            ("a", Invalid),
            (".", Invalid),
            ("..", Invalid),
            ("....", Invalid),
        ] {
            check(&guard, format!("{prefix}{value}").as_bytes(), outcome).await;
        }
    }
}

#[tokio::test]
async fn a_scheme_spelt_with_other_bytes_is_another_scheme() {
    let guard = jwt_guard();
    for scheme in [&b"B\xe9arer "[..], b"Bearer\xa0", "Вearer ".as_bytes()] {
        let value = [scheme, guard.credential.as_bytes()].concat();
        let answer = ask(&guard.layer, request(&[("authorization", value)])).await;
        assert!(matches!(answer.status.as_u16(), 400 | 401));
        answer.error();
    }
}

#[tokio::test]
async fn a_value_of_any_length_is_invalid_and_never_malformed() {
    for guard in guards() {
        let prefix = if guard.header == "authorization" {
            "Bearer "
        } else {
            ""
        };
        for length in [1, 15, 513, 16 * 1024, 16 * 1024 + 1, 200_000] {
            for filler in ["a", "."] {
                let value = format!("{prefix}{}", filler.repeat(length));
                check(&guard, value.as_bytes(), Invalid).await;
            }
        }
    }
    let long = format!("Bearer {}", "a".repeat(16 * 1024 + 1));
    let answer = ask(&jwt_guard().layer, request(&[("authorization", long)])).await;
    answer.invalid("token_too_large");
}

#[tokio::test]
async fn without_a_scheme_the_whole_value_is_the_credential() {
    let layer = JwtLayer::builder(Secret::new(common::SECRET).unwrap())
        .require_bearer(false)
        .clock(common::clock())
        .build()
        .unwrap();
    let token = good_token();
    ask(&layer, request(&[("authorization", &token)]))
        .await
        .admitted();
    ask(&layer, request(&[("authorization", format!(" {token}\t"))]))
        .await
        .admitted();
    for scheme in ["Bearer", "bearer", "Basic", "x"] {
        let value = format!("{scheme} {token}");
        ask(&layer, request(&[("authorization", value)]))
            .await
            .malformed("malformed_credential");
    }
    ask(&layer, request(&[("authorization", "")]))
        .await
        .missing();
}

#[tokio::test]
async fn the_inner_service_does_not_see_the_credential_and_sees_all_else() {
    for guard in guards() {
        let request = request(&[
            (guard.header, guard.good.as_str()),
            ("cookie", "a=b"),
            ("x-other", "1"),
            ("x-other", "2"),
            ("proxy-authorization", "Basic dXNlcjpwYXNz"),
        ]);
        let answer = ask(&guard.layer, request).await;
        let headers = &answer.admitted().headers;
        assert!(!headers.contains_key(guard.header), "{}", guard.name);
        assert!(
            !format!("{:?}", answer.reached).contains(&guard.credential),
            "{}",
            guard.name
        );
        assert_eq!(headers["cookie"], "a=b");
        assert_eq!(headers.get_all("x-other").iter().count(), 2);
        assert_eq!(headers["proxy-authorization"], "Basic dXNlcjpwYXNz");
        assert_eq!(answer.principal().subject(), Some("alice"));
    }
}

#[tokio::test]
async fn a_header_that_holds_no_credential_of_ours_is_left_alone() {
    let (_, layer) = two_locations();
    let request = request(&[("x-api-key", "a"), ("authorization", "Basic dXNlcjpwYXNz")]);
    let answer = ask(&layer, request).await;
    assert_eq!(
        answer.admitted().headers["authorization"],
        "Basic dXNlcjpwYXNz"
    );
    assert!(!answer.admitted().headers.contains_key("x-api-key"));
}

#[tokio::test]
async fn on_a_public_path_the_credential_is_taken_out_good_bad_or_malformed() {
    for guard in guards() {
        let layer = guard.layer.clone().public_path("/health").unwrap();
        for value in [guard.good.as_str(), "Bearer bad", "Bearer a b", "Bearer\tx"] {
            let request = request_to("/health", &[(guard.header, value), ("cookie", "a=b")]);
            let answer = ask(&layer, request).await;
            assert!(
                !answer.admitted().headers.contains_key(guard.header),
                "{value:?}"
            );
            assert_eq!(answer.admitted().headers["cookie"], "a=b");
            assert_eq!(answer.text(), "nobody");
        }
        let twice = [
            (guard.header, guard.good.as_str()),
            (guard.header, "Bearer b"),
        ];
        let answer = ask(&layer, request_to("/health", &twice)).await;
        assert!(!answer.admitted().headers.contains_key(guard.header));
    }
    let layer = hs256_layer().public_path("/health").unwrap();
    let basic = request_to("/health", &[("authorization", "Basic dXNlcjpwYXNz")]);
    let answer = ask(&layer, basic).await;
    assert_eq!(
        answer.admitted().headers["authorization"],
        "Basic dXNlcjpwYXNz"
    );
}

#[tokio::test]
async fn a_forwarded_credential_is_kept_and_sensitive() {
    for guard in guards() {
        let layer = guard
            .layer
            .clone()
            .forward_credential(true)
            .public_path("/health")
            .unwrap();
        for uri in ["/mcp", "/health"] {
            let answer = ask(&layer, guard.good_request(uri)).await;
            let value = &answer.admitted().headers[guard.header];
            assert_eq!(value, guard.good.as_str(), "{} {uri}", guard.name);
            assert!(value.is_sensitive(), "{} {uri}", guard.name);
            assert!(!format!("{:?}", answer.reached).contains(&guard.credential));
        }
        // Refused requests are refused all the same.
        ask(&layer, guard.bare_request("/mcp")).await.missing();
        // And off again is off.
        let layer = layer.forward_credential(false);
        let answer = ask(&layer, guard.good_request("/mcp")).await;
        assert!(!answer.admitted().headers.contains_key(guard.header));
    }
}

#[tokio::test]
async fn the_principal_of_an_outer_layer_does_not_outlive_this_one() {
    let mallory = || Principal::builder("outer").subject("mallory").build();
    for guard in guards() {
        let layer = guard.layer.clone().public_path("/health").unwrap();
        let mut request = guard.good_request("/mcp");
        request.extensions_mut().insert(mallory());
        assert_eq!(
            ask(&layer, request).await.principal().subject(),
            Some("alice")
        );

        let mut request = guard.bare_request("/health");
        request.extensions_mut().insert(mallory());
        let answer = ask(&layer, request).await;
        assert!(Principal::from_extensions(&answer.admitted().extensions).is_none());

        let mut request = guard.bare_request("/mcp");
        request.extensions_mut().insert(mallory());
        ask(&layer, request).await.missing();
    }
}

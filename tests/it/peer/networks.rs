//! Which peers are proxies.

use tower_mcp_auth::peer::{ProxyHeaders, TrustedProxies};

use super::{CLIENT, client_of};

fn in_networks(networks: &[&str]) -> TrustedProxies {
    TrustedProxies::new(ProxyHeaders::XForwarded, networks).unwrap()
}

#[test]
fn a_header_counts_from_the_networks_that_are_listed_alone() {
    for (networks, peer, trusted) in [
        (&["10.0.0.0/8"][..], "10.255.0.1", true),
        (&["10.0.0.0/8"], "11.0.0.1", false),
        (&["10.0.0.0/8"], "::ffff:10.1.2.3", true),
        // Other ways to write an IPv4 address into IPv6 are not that address.
        (&["10.0.0.0/8"], "::10.1.2.3", false),
        (&["10.0.0.0/8"], "64:ff9b::10.1.2.3", false),
        (&["10.0.0.0/8"], "2002:a01:203::1", false),
        (&["10.0.0.0/9"], "10.127.255.255", true),
        (&["10.0.0.0/9"], "10.128.0.0", false),
        (&["10.0.0.7"], "10.0.0.7", true),
        (&["10.0.0.7"], "10.0.0.8", false),
        (&["10.0.0.7/32"], "10.0.0.7", true),
        (&["10.0.0.6/31"], "10.0.0.7", true),
        (&["10.0.0.6/31"], "10.0.0.8", false),
        (&["128.0.0.0/1"], "127.255.255.255", false),
        (&["128.0.0.0/1"], "255.255.255.255", true),
        (&["::1"], "::1", true),
        (&["::1"], "127.0.0.1", false),
        (&["::1"], "::2", false),
        (&["fd00::/8"], "fdff::1", true),
        (&["fd00::/8"], "fe00::1", false),
        (&["2001:db8::/127"], "2001:db8::1", true),
        (&["2001:db8::/127"], "2001:db8::2", false),
        (&["8000::/1"], "7fff::1", false),
        // An IPv4 peer is in no IPv6 network, however wide that is.
        (&["::/1"], "::ffff:10.0.0.1", false),
        (&["::ffff:10.0.0.0/104"], "10.9.9.9", true),
        (&["::ffff:10.0.0.0/104"], "::ffff:10.9.9.9", true),
        (&["::ffff:10.0.0.0/104"], "11.9.9.9", false),
        (&["::ffff:10.0.0.7"], "10.0.0.7", true),
        (&["::ffff:10.0.0.7"], "10.0.0.8", false),
        (&["192.0.2.0/24", "fd00::1", "10.0.0.7"], "fd00::1", true),
        (&["192.0.2.0/24", "fd00::1", "10.0.0.7"], "fd00::2", false),
    ] {
        let headers = [("x-forwarded-for", CLIENT)];
        let client = client_of(&in_networks(networks), Some(peer), &headers).unwrap();
        assert_eq!(
            client.as_deref() == Some(CLIENT),
            trusted,
            "{networks:?} {peer}: {client:?}"
        );
    }
}

#[test]
fn a_peer_that_is_not_known_is_no_proxy() {
    let headers = [("x-forwarded-for", CLIENT)];
    assert_eq!(
        client_of(&in_networks(&["10.0.0.0/8"]), None, &headers),
        Ok(None)
    );
}

#[test]
fn any_peer_may_be_a_proxy_where_that_is_said() {
    let any = TrustedProxies::dangerously_any_peer(ProxyHeaders::XForwarded);
    let headers = [("x-forwarded-for", "198.51.100.1, 203.0.113.9")];
    for peer in [Some("192.0.2.1"), Some("2001:db8::1"), None] {
        assert_eq!(client_of(&any, peer, &headers), Ok(Some(CLIENT.into())));
    }
    // No client behind them makes one proxy less.
    let two = any.hops(2).unwrap();
    let first = Ok(Some("198.51.100.1".into()));
    assert_eq!(client_of(&two, None, &headers), first);
}

#[test]
fn what_is_no_network_is_refused_with_what_to_write() {
    for (text, fix) in [
        ("", "10.0.0.0/8"),
        (" 10.0.0.0/8", "10.0.0.0/8"),
        ("10.0.0.0/33", "10.0.0.0/8"),
        ("fd00::/129", "10.0.0.0/8"),
        ("10.0.0.0/", "10.0.0.0/8"),
        ("10.0.0.0/08", "10.0.0.0/8"),
        ("10.0.0.0/+8", "10.0.0.0/8"),
        ("10.0.0.0/-8", "10.0.0.0/8"),
        ("10.0.0.0/8/8", "10.0.0.0/8"),
        ("10.0.0.0/264", "10.0.0.0/8"),
        ("10.0.0.0/255.0.0.0", "10.0.0.0/8"),
        ("10.0.0/24", "10.0.0.0/8"),
        ("010.0.0.0/8", "10.0.0.0/8"),
        ("10.0.0.0/8,::1", "10.0.0.0/8"),
        ("[::1]", "10.0.0.0/8"),
        ("fe80::1%eth0", "10.0.0.0/8"),
        ("localhost", "10.0.0.0/8"),
        ("*", "10.0.0.0/8"),
        ("10.0.0.0/8\n", "10.0.0.0/8"),
        // Was the network meant, or the address?
        ("10.1.2.3/8", "`10.0.0.0/8` for the network, or `10.1.2.3`"),
        (
            "10.0.0.1/31",
            "`10.0.0.0/31` for the network, or `10.0.0.1`",
        ),
        ("fd00::1/8", "`fd00::/8` for the network, or `fd00::1`"),
        (
            "::ffff:10.1.2.3/104",
            "`10.0.0.0/8` for the network, or `10.1.2.3`",
        ),
        ("::ffff:10.0.0.0/95", "write the IPv4 network"),
        ("::ffff:0:0/1", "write the IPv4 network"),
        ("0.0.0.0/0", "dangerously_any_peer"),
        ("10.0.0.0/0", "dangerously_any_peer"),
        ("::/0", "dangerously_any_peer"),
        ("::ffff:0:0/96", "dangerously_any_peer"),
    ] {
        let error = TrustedProxies::new(ProxyHeaders::Forwarded, ["::1", text]).unwrap_err();
        assert_eq!(error.setting(), "networks", "{text}");
        assert!(error.to_string().contains(fix), "{text}: {error}");
    }
    let no_network: [&str; 0] = [];
    let error = TrustedProxies::new(ProxyHeaders::Forwarded, no_network).unwrap_err();
    assert_eq!(error.setting(), "networks");
}

#[test]
fn proxies_can_be_counted() {
    for hops in [0, 17, usize::MAX] {
        let error = in_networks(&["::1"]).hops(hops).unwrap_err();
        assert_eq!(error.setting(), "hops");
    }
    for hops in [1, 16] {
        assert!(in_networks(&["::1"]).hops(hops).is_ok());
    }
}

"""Proofs made with PyPI `joserfc`.

    dpop_client.py ALG

It makes a key for ALG and prints `key THUMBPRINT`. For each line `METHOD URL TOKEN` on stdin it prints
`proof PROOF`.
"""

import base64
import hashlib
import secrets
import sys
import time

from joserfc import jwt
from joserfc.jwk import ECKey, OKPKey, RSAKey

KEYS = {
    "ES256": lambda: ECKey.generate_key("P-256"),
    "ES384": lambda: ECKey.generate_key("P-384"),
    "ES512": lambda: ECKey.generate_key("P-521"),
    "EdDSA": lambda: OKPKey.generate_key("Ed25519"),
    "Ed25519": lambda: OKPKey.generate_key("Ed25519"),
    "RS256": lambda: RSAKey.generate_key(2048),
    "PS256": lambda: RSAKey.generate_key(2048),
}

alg = sys.argv[1]
key = KEYS[alg]()
print("key", key.thumbprint(), flush=True)
for line in sys.stdin:
    method, url, token = line.split()
    digest = hashlib.sha256(token.encode()).digest()
    header = {"typ": "dpop+jwt", "alg": alg, "jwk": key.as_dict(private=False)}
    claims = {
        "jti": secrets.token_urlsafe(16),
        "htm": method,
        "htu": url,
        "iat": int(time.time()),
        "ath": base64.urlsafe_b64encode(digest).rstrip(b"=").decode(),
    }
    print("proof", jwt.encode(header, claims, key, algorithms=[alg]), flush=True)

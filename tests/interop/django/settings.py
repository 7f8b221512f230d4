import secrets

ALLOWED_HOSTS = ["127.0.0.1"]
# One connection, and so one thread, has it.
DATABASES = {"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": ":memory:"}}
INSTALLED_APPS = ["django.contrib.auth", "django.contrib.contenttypes", "oauth2_provider"]
# Warnings tell what tests do on purpose.
LOGGING = {"version": 1, "loggers": {"oauth2_provider": {"level": "ERROR"}}}
OAUTH2_PROVIDER = {
    "ACCESS_TOKEN_EXPIRE_SECONDS": 600,
    # So that the command `ttl` counts.
    "ALWAYS_RELOAD_OAUTHLIB_CORE": True,
    "SCOPES": {"mcp:read": "Read", "mcp:write": "Write", "introspection": "Introspect tokens"},
    "DEFAULT_SCOPES": ["mcp:read"],
}
ROOT_URLCONF = "urls"
SECRET_KEY = secrets.token_hex(32)
USE_TZ = True

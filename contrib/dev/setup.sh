#!/bin/sh
# Used by the Makefile. Installs with apt what the demo and the tests need and this machine lacks, starting no
# service; where apt or the rights for it are missing, says what to install.
set -eu

PACKAGES="prosody prosody-modules lua-dbi-sqlite3 ejabberd erlang-p1-sqlite3 sqlite3 postgresql nginx-light caddy
systemd strace gcc libc6-dev openssl tmux python3-venv ca-certificates"
command -v profanity >/dev/null 2>&1 || PACKAGES="$PACKAGES profanity-light"

missing() {
  command -v prosody >/dev/null 2>&1 || return 0
  "${PYTHON:-python3}" -c 'import ensurepip, venv' 2>/dev/null || return 0
  command -v dpkg-query >/dev/null 2>&1 || return 1 # not Debian: prosody is there, trust it
  for package in $PACKAGES; do
    dpkg-query -W -f '${Status}' "$package" 2>/dev/null | grep -q 'ok installed' || return 0
  done
  return 1
}

if ! "${PYTHON:-python3}" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
  echo "smsbridge needs Python 3.11 or newer (Debian 12: apt-get install python3)" >&2
  exit 1
fi
missing || exit 0

as_root=""
if [ "$(id -u)" -ne 0 ]; then
  as_root="sudo -n"
  if ! sudo -n true 2>/dev/null; then as_root=none; fi
fi
if [ "$as_root" = none ] || ! command -v apt-get >/dev/null 2>&1; then
  echo "Some packages are missing and cannot be installed from here. As root, run:" >&2
  echo "  apt-get install $PACKAGES" >&2
  echo "(or your system's packages for Prosody 0.12 with its community modules, LuaDBI for SQLite, and venv)" >&2
  exit 1
fi

# A Prosody of the machine's own must not come up: packages ask policy-rc.d before they start a service.
policy=/usr/sbin/policy-rc.d
ours=""
if [ ! -e $policy ]; then
  printf '#!/bin/sh\nexit 101\n' | $as_root tee $policy >/dev/null
  $as_root chmod 755 $policy
  ours=yes
fi
had_prosody=$(command -v prosody || true)
status=0
$as_root apt-get update -q || status=$?
# shellcheck disable=SC2086
[ $status -ne 0 ] || $as_root env DEBIAN_FRONTEND=noninteractive apt-get install -q -y --no-install-recommends $PACKAGES || status=$?
[ -z "$ours" ] || $as_root rm -f $policy
if [ -z "$had_prosody" ] && [ -d /run/systemd/system ]; then
  $as_root systemctl disable --quiet prosody.service || true
fi
exit $status

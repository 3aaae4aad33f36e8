#!/bin/sh
# Makes sure that the programs are there which the tests start and talk to:
# install what is missing with apt-get as root on Debian, or name it and fail.
# The tests start these servers themselves, each on a free port of its own.
# MQTT.js and axios, which they drive, are installed beside this script.
set -eu
PATH=$PATH:/usr/sbin # where Debian has servers

# Each line: the program, and Debian's package that brings it.
needed='redis-server redis-server
mosquitto mosquitto
mosquitto_pub mosquitto-clients
mosquitto_sub mosquitto-clients
mosquitto_rr mosquitto-clients
initdb postgresql
node nodejs
npm npm
openssl openssl
curl curl'

# missing prints the column of needed ($1: 1 program, 2 package) for every
# program that is not installed, each word once.
missing() {
	for dir in /usr/lib/postgresql/*/bin; do PATH=$PATH:$dir; done # one for each version
	echo "$needed" | while read -r program package; do
		command -v "$program" >/dev/null 2>&1 && continue
		if [ "$1" = 1 ]; then echo "$program"; else echo "$package"; fi
	done | sort -u | tr '\n' ' '
}

# libraries installs MQTT.js and axios as package-lock.json has it, unless that was done before.
libraries() {
	cd "$(dirname "$0")"
	[ node_modules/.package-lock.json -nt package-lock.json ] && return
	echo "Installing for the tests: MQTT.js, axios"
	npm ci --no-audit --no-fund --loglevel=error >/dev/null
	touch node_modules/.package-lock.json
}

programs=$(missing 1)
if [ -z "$programs" ]; then
	libraries
	exit 0
fi

packages=$(missing 2)
if [ "$(id -u)" -ne 0 ] || ! command -v apt-get >/dev/null 2>&1; then
	echo "The tests need these programs, which are not installed: $programs" >&2
	echo "On Debian: sudo apt-get install $packages" >&2
	exit 1
fi

# A package that brings a server starts it as a service. The tests want none: a
# policy that says no (101) stands while apt-get runs, unless there is one already.
policy=/usr/sbin/policy-rc.d
if [ ! -e "$policy" ]; then
	trap 'rm -f "$policy"' EXIT
	trap 'exit 130' INT TERM
	printf '#!/bin/sh\nexit 101\n' >"$policy"
	chmod 755 "$policy"
fi

echo "Installing for the tests: $packages"
export DEBIAN_FRONTEND=noninteractive
apt='apt-get -qq -o DPkg::Lock::Timeout=300'
$apt update
# shellcheck disable=SC2086 # packages are words
$apt install -y --no-install-recommends $packages </dev/null >/dev/null

programs=$(missing 1)
if [ -n "$programs" ]; then
	echo "Still not there after apt-get install: $programs" >&2
	exit 1
fi

libraries

#!/bin/sh
# Makes the certificates of the TLS tests in the folder $1: two authorities, a server, two clients.
set -eu
cd "$1"
days=30
key() { openssl ecparam -name prime256v1 -genkey -noout -out "$1"; }
authority() { # file, name
    key "$1.key"
    openssl req -x509 -new -key "$1.key" -days $days -subj "/CN=$2" -out "$1.pem" \
        -addext basicConstraints=critical,CA:TRUE -addext keyUsage=critical,keyCertSign
}
signed() { # file, authority, subject, alternative names
    key "$1.key"
    openssl req -new -utf8 -key "$1.key" -subj "$3" -out "$1.csr"
    printf 'subjectAltName=%s\n' "$4" > "$1.ext"
    openssl x509 -req -in "$1.csr" -CA "$2.pem" -CAkey "$2.key" -CAcreateserial -days $days \
        -extfile "$1.ext" -out "$1.pem"
    rm "$1.csr" "$1.ext" "$2.srl"
}
authority authority "amqpd test authority"
authority stranger "another authority"
signed server authority "/CN=localhost" "DNS:localhost,IP:127.0.0.1,IP:::1"
signed client authority "/O=amqpd tests/CN=client" "DNS:client.example,email:client@example.org"
signed intruder stranger "/O=amqpd tests/CN=client" "DNS:client.example"
openssl ec -in server.key -aes256 -passout pass:secret -out server-encrypted.key
rm authority.key stranger.key

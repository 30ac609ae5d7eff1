#!/bin/sh
# Installs the JavaScript SDKs that the walks use into the directory DIR, for
# AWS_SDK_JS_DIR=DIR: v3 of today, and the last of v3 and of v2 that speak the
# query protocol.
set -eu
dir=${1:?usage: sdks.sh DIR}
mkdir -p "$dir"
cd "$dir"
[ -f package.json ] || npm init -y >/dev/null
npm install --no-audit --no-fund --ignore-scripts @aws-sdk/client-sqs@3.1175.0 \
	client-sqs-2023@npm:@aws-sdk/client-sqs@3.438.0 aws-sdk-v2@npm:aws-sdk@2.1450.0

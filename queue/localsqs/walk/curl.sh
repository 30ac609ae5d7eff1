#!/bin/sh
# Walks the life of a message with curl alone: signed GETs and forms.
# Usage: curl.sh ENDPOINT
set -eu
endpoint=$1
ask() { curl -sS --fail-with-body --aws-sigv4 aws:amz:us-east-1:sqs --user local:secret "$@"; }
# of takes the text of the first element of a name out of the XML.
of() { tr -d '\n' | sed -n "s|.*<$1>\([^<]*\)</$1>.*|\1|p"; }
want() { [ "$2" = "$3" ] || { echo "curl.sh: $1 is '$2', want '$3'" >&2; exit 1; }; }

url=$(ask "$endpoint/?Action=CreateQueue&QueueName=curl-walk&Version=2012-11-05" | of QueueUrl)
ask "$url" --data-urlencode Action=SetQueueAttributes --data Attribute.Name=VisibilityTimeout --data Attribute.Value=35 >/dev/null
want VisibilityTimeout "$(ask "$url?Action=GetQueueAttributes&AttributeName=VisibilityTimeout" | of Value)" 35
ask "$url" --data Action=SendMessage --data-urlencode 'MessageBody=“one” & +2;' >/dev/null
got=$(ask "$url?Action=ReceiveMessage&WaitTimeSeconds=1")
want MD5OfBody "$(printf %s "$got" | of MD5OfBody)" "$(printf %s '“one” & +2;' | md5sum | cut -d ' ' -f 1)"
handle=$(printf %s "$got" | of ReceiptHandle)
ask "$url" --data Action=DeleteMessage --data-urlencode "ReceiptHandle=$handle" >/dev/null
ask -X POST "$url?Action=DeleteQueue" >/dev/null
if ask "$url?Action=ReceiveMessage" >/dev/null 2>&1; then
	echo "curl.sh: the queue is there after its deletion" >&2
	exit 1
fi
echo walked

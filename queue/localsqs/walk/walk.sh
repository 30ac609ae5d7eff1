#!/bin/sh
# Walks every operation of SQS with an AWS CLI, the message moves if it knows them.
# Usage: walk.sh ENDPOINT [AWS [without-moves]]
set -eu
export AWS_ACCESS_KEY_ID=local AWS_SECRET_ACCESS_KEY=secret AWS_DEFAULT_REGION=us-east-1 AWS_PAGER=
endpoint=$1 aws=${2:-aws} moves=${3:-}
sqs() { "$aws" --endpoint-url "$endpoint" --output text sqs "$@"; }
want() { [ "$2" = "$3" ] || { echo "walk.sh: $1 is '$2', want '$3'" >&2; exit 1; }; }

dead=$(sqs create-queue --queue-name cli-dead --query QueueUrl)
url=$(sqs create-queue --queue-name cli-walk --attributes VisibilityTimeout=30 --tags a=1 --query QueueUrl)
want get-queue-url "$(sqs get-queue-url --queue-name cli-walk --query QueueUrl)" "$url"
want list-queues "$(sqs list-queues --queue-name-prefix cli-walk --query 'QueueUrls[0]')" "$url"
arn=$(sqs get-queue-attributes --queue-url "$dead" --attribute-names QueueArn --query Attributes.QueueArn)
sqs set-queue-attributes --queue-url "$url" --attributes "{\"RedrivePolicy\":\"{\\\"deadLetterTargetArn\\\":\\\"$arn\\\",\\\"maxReceiveCount\\\":1}\"}"
want list-dead-letter-source-queues "$(sqs list-dead-letter-source-queues --queue-url "$dead" --query 'queueUrls[0]')" "$url"
sqs tag-queue --queue-url "$url" --tags b=2
sqs untag-queue --queue-url "$url" --tag-keys a
want list-queue-tags "$(sqs list-queue-tags --queue-url "$url" --query Tags.b)" 2
sqs add-permission --queue-url "$url" --label l --aws-account-ids 123456789012 --actions SendMessage
sqs remove-permission --queue-url "$url" --label l
sqs send-message --queue-url "$url" --message-body one --message-attributes '{"k":{"DataType":"String","StringValue":"v"}}' >/dev/null
want send-message-batch "$(sqs send-message-batch --queue-url "$url" --entries Id=a,MessageBody=two --query 'Successful[0].Id')" a
first=$(sqs receive-message --queue-url "$url" --message-attribute-names All --query 'Messages[0].ReceiptHandle')
second=$(sqs receive-message --queue-url "$url" --query 'Messages[0].ReceiptHandle')
sqs change-message-visibility --queue-url "$url" --receipt-handle "$first" --visibility-timeout 60
sqs change-message-visibility-batch --queue-url "$url" --entries "Id=a,ReceiptHandle=$second,VisibilityTimeout=60" >/dev/null
sqs delete-message --queue-url "$url" --receipt-handle "$first"
want delete-message-batch "$(sqs delete-message-batch --queue-url "$url" --entries "Id=a,ReceiptHandle=$second" --query 'Successful[0].Id')" a
if [ "$moves" != without-moves ]; then
	task=$(sqs start-message-move-task --source-arn "$arn" --query TaskHandle)
	want list-message-move-tasks "$(sqs list-message-move-tasks --source-arn "$arn" --query 'Results[0].SourceArn')" "$arn"
	sqs cancel-message-move-task --task-handle "$task" >/dev/null 2>&1 || true # it may be done already
fi
sqs purge-queue --queue-url "$url"
sqs delete-queue --queue-url "$url"
sqs delete-queue --queue-url "$dead"
echo walked

"""Walks every operation of SQS that this boto3 knows. Usage: walk.py ENDPOINT"""

import json
import sys

import boto3

sqs = boto3.client("sqs", endpoint_url=sys.argv[1], region_name="us-east-1",
                   aws_access_key_id="local", aws_secret_access_key="secret")


model = sqs.meta.service_model
system = "MessageSystemAttributeNames"  # since 2024, for AttributeNames
if system not in model.operation_model("ReceiveMessage").input_shape.members:
    system = "AttributeNames"


def check(what, ok):
    if not ok:
        sys.exit("walk.py: " + what)


dead = sqs.create_queue(QueueName="py-dead")["QueueUrl"]
url = sqs.create_queue(QueueName="py-walk", Attributes={"VisibilityTimeout": "30"}, tags={"a": "1"})["QueueUrl"]
check("get_queue_url", sqs.get_queue_url(QueueName="py-walk")["QueueUrl"] == url)
check("list_queues", sqs.list_queues(QueueNamePrefix="py-")["QueueUrls"] == [dead, url])
arn = {u: sqs.get_queue_attributes(QueueUrl=u, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"] for u in (dead, url)}
policy = json.dumps({"deadLetterTargetArn": arn[dead], "maxReceiveCount": "1"})
sqs.set_queue_attributes(QueueUrl=url, Attributes={"RedrivePolicy": policy})
check("list_dead_letter_source_queues", sqs.list_dead_letter_source_queues(QueueUrl=dead)["queueUrls"] == [url])
sqs.tag_queue(QueueUrl=url, Tags={"b": "2"})
sqs.untag_queue(QueueUrl=url, TagKeys=["a"])
check("list_queue_tags", sqs.list_queue_tags(QueueUrl=url)["Tags"] == {"b": "2"})
sqs.add_permission(QueueUrl=url, Label="l", AWSAccountIds=["123456789012"], Actions=["SendMessage"])
sqs.remove_permission(QueueUrl=url, Label="l")
attributes = {"s": {"DataType": "String", "StringValue": "é"}, "b": {"DataType": "Binary", "BinaryValue": b"\x00\xff"}}
sqs.send_message(QueueUrl=url, MessageBody="one, “quoted”", MessageAttributes=attributes)
sent = sqs.send_message_batch(QueueUrl=url, Entries=[{"Id": "a", "MessageBody": "two"}, {"Id": "b", "MessageBody": "three"}])
check("send_message_batch", len(sent["Successful"]) == 2 and "Failed" not in sent)
got = sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10, MessageAttributeNames=["All"], **{system: ["All"]})["Messages"]
check("receive_message", [m["Body"] for m in got] == ["one, “quoted”", "two", "three"])
check("attributes", got[0]["MessageAttributes"] == attributes)
check("system attributes", got[0]["Attributes"]["ApproximateReceiveCount"] == "1" and got[0]["Attributes"]["SenderId"] == "local")
sqs.change_message_visibility(QueueUrl=url, ReceiptHandle=got[0]["ReceiptHandle"], VisibilityTimeout=60)
sqs.change_message_visibility_batch(QueueUrl=url, Entries=[{"Id": "a", "ReceiptHandle": got[1]["ReceiptHandle"], "VisibilityTimeout": 0}])
sqs.delete_message(QueueUrl=url, ReceiptHandle=got[0]["ReceiptHandle"])
sqs.delete_message_batch(QueueUrl=url, Entries=[{"Id": "a", "ReceiptHandle": got[2]["ReceiptHandle"]}])
check("nothing left", "Messages" not in sqs.receive_message(QueueUrl=url))
failed = sqs.delete_message_batch(QueueUrl=url, Entries=[{"Id": "x", "ReceiptHandle": "nonsense"}])["Failed"]
check("a failed entry", [(f["Id"], f["Code"], f["SenderFault"]) for f in failed] == [("x", "ReceiptHandleIsInvalid", True)])
if "StartMessageMoveTask" in model.operation_names:  # since June 2023
    task = sqs.start_message_move_task(SourceArn=arn[dead], MaxNumberOfMessagesPerSecond=1)["TaskHandle"]
    check("list_message_move_tasks", sqs.list_message_move_tasks(SourceArn=arn[dead])["Results"][0]["SourceArn"] == arn[dead])
    try:
        sqs.cancel_message_move_task(TaskHandle=task)
    except sqs.exceptions.UnsupportedOperation:
        pass  # it was done already
try:
    sqs.get_queue_url(QueueName="py-none")
    sys.exit("walk.py: a queue that is not there was found")
except sqs.exceptions.QueueDoesNotExist as e:
    check("code " + e.response["Error"]["Code"], e.response["Error"]["Code"] == "AWS.SimpleQueueService.NonExistentQueue")
sqs.purge_queue(QueueUrl=url)
for u in (url, dead):
    sqs.delete_queue(QueueUrl=u)
print("walked")

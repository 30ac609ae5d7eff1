// Walks every operation of SQS with a JavaScript SDK, v3 or v2.
// Usage: walk.mjs ENDPOINT DIRECTORY [PACKAGE], where DIRECTORY/node_modules has
// the package (default @aws-sdk/client-sqs).
import { createRequire } from "node:module";
import { strict as assert } from "node:assert";

const [endpoint, dir, name = "@aws-sdk/client-sqs"] = process.argv.slice(2);
const sdk = createRequire(dir + "/")(name);
let sqs = new sdk.SQS({ endpoint, region: "us-east-1", credentials: { accessKeyId: "local", secretAccessKey: "secret" } });
const v2 = !sdk.SQSClient;
if (v2) sqs = new Proxy(sqs, { get: (client, call) => (input) => client[call](input).promise() });
const system = name === "@aws-sdk/client-sqs" ? "MessageSystemAttributeNames" : "AttributeNames"; // the name since 2024

const dead = (await sqs.createQueue({ QueueName: "js-dead" })).QueueUrl;
const QueueUrl = (await sqs.createQueue({ QueueName: "js-walk", Attributes: { VisibilityTimeout: "30" }, tags: { a: "1" } })).QueueUrl;
assert.equal((await sqs.getQueueUrl({ QueueName: "js-walk" })).QueueUrl, QueueUrl);
assert.deepEqual((await sqs.listQueues({ QueueNamePrefix: "js-" })).QueueUrls, [dead, QueueUrl]);
const arn = async (url) => (await sqs.getQueueAttributes({ QueueUrl: url, AttributeNames: ["QueueArn"] })).Attributes.QueueArn;
const SourceArn = await arn(dead);
await sqs.setQueueAttributes({ QueueUrl, Attributes: { RedrivePolicy: JSON.stringify({ deadLetterTargetArn: SourceArn, maxReceiveCount: 1 }) } });
assert.deepEqual((await sqs.listDeadLetterSourceQueues({ QueueUrl: dead })).queueUrls, [QueueUrl]);
await sqs.tagQueue({ QueueUrl, Tags: { b: "2" } });
await sqs.untagQueue({ QueueUrl, TagKeys: ["a"] });
assert.deepEqual((await sqs.listQueueTags({ QueueUrl })).Tags, { b: "2" });
await sqs.addPermission({ QueueUrl, Label: "l", AWSAccountIds: ["123456789012"], Actions: ["SendMessage"] });
await sqs.removePermission({ QueueUrl, Label: "l" });
await sqs.sendMessage({ QueueUrl, MessageBody: "one, “quoted”", MessageAttributes: { b: { DataType: "Binary", BinaryValue: Buffer.from([0, 255]) } } });
const sent = await sqs.sendMessageBatch({ QueueUrl, Entries: [{ Id: "a", MessageBody: "two" }, { Id: "b", MessageBody: "three" }] });
assert.equal(sent.Successful.length, 2);
assert.equal(sent.Failed?.length ?? 0, 0);
const got = (await sqs.receiveMessage({ QueueUrl, MaxNumberOfMessages: 10, MessageAttributeNames: ["All"], [system]: ["All"] })).Messages;
assert.deepEqual(got.map((m) => m.Body), ["one, “quoted”", "two", "three"]);
assert.deepEqual([...got[0].MessageAttributes.b.BinaryValue], [0, 255]);
await sqs.changeMessageVisibility({ QueueUrl, ReceiptHandle: got[0].ReceiptHandle, VisibilityTimeout: 60 });
await sqs.changeMessageVisibilityBatch({ QueueUrl, Entries: [{ Id: "a", ReceiptHandle: got[1].ReceiptHandle, VisibilityTimeout: 0 }] });
await sqs.deleteMessage({ QueueUrl, ReceiptHandle: got[0].ReceiptHandle });
await sqs.deleteMessageBatch({ QueueUrl, Entries: [{ Id: "a", ReceiptHandle: got[2].ReceiptHandle }] });
assert.equal((await sqs.receiveMessage({ QueueUrl })).Messages?.length ?? 0, 0);
const { TaskHandle } = await sqs.startMessageMoveTask({ SourceArn, MaxNumberOfMessagesPerSecond: 1 });
assert.equal((await sqs.listMessageMoveTasks({ SourceArn })).Results[0].SourceArn, SourceArn);
await sqs.cancelMessageMoveTask({ TaskHandle }).catch((e) => assert.match(e.name + e.code, /UnsupportedOperation/));
await assert.rejects(sqs.getQueueUrl({ QueueName: "js-none" }), (e) => (v2 ? e.code === "AWS.SimpleQueueService.NonExistentQueue" : e instanceof sdk.QueueDoesNotExist));
await sqs.purgeQueue({ QueueUrl });
await sqs.deleteQueue({ QueueUrl });
await sqs.deleteQueue({ QueueUrl: dead });
console.log("walked");

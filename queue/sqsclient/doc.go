// Package sqsclient builds the AWS client for SQS, in one place and fit for a
// queue worker.
//
//	client, err := sqsclient.New(ctx, sqsclient.Settings{Region: "eu-central-1"})
//	if err != nil {
//		return err // the endpoint is malformed, or there is no region
//	}
//	if err := sqsclient.Check(ctx, client); err != nil {
//		return err // no credentials, refused, or no answer
//	}
//
// What it does beyond the SDK's own defaults:
//
//   - It gives net/http a request body that is safe to look at after the
//     answer has come. The SDK's own body (smithy-go, up to 1.28.9 at least)
//     says [io.EOF] once closed; when a fast server answers before net/http
//     has asked the body for its end, net/http takes that for a failed write
//     and kills the connection under the response. What a receive brought is
//     then lost to everyone until its visibility ends.
//   - It keeps up to 256 idle connections to a host; the SDK keeps 10, so that
//     a worker with more requests under way dials again and again.
//   - It retries fast and a bounded number of times, without the SDK's retry
//     quota: the poller and the sender have loops of their own, and a quota
//     that is used up would make every passing error a final one.
//   - It makes the requests of a worker's loop, ReceiveMessage and
//     DeleteMessageBatch, and by [SendBatchOf] SendMessageBatch, without the SDK's
//     middlewares, after the model of a request that these made, and reads their
//     usual answers itself: a third of the SDK's CPU time. Signing, credentials, retries, errors and checksums are
//     the SDK's as ever. A client with [WithOptions] takes the SDK's way alone,
//     and so does whatever is not usual: after a refusal (401, 403) requests go the
//     SDK's way until one succeeds. [StatsOf] counts both ways.
//   - Its errors come early and say what to do: no region, no credentials,
//     credentials refused, no service at the endpoint.
//
// Credentials are found by the SDK's own chain: environment, shared files,
// web identity, container and instance roles. They are never a setting.
//
// For the embedded queue pass its HTTP client by [WithHTTPClient]: then no
// file, no variable and no network is looked at, and requests are not signed.
//
// State: a client is immutable and safe for use from several goroutines.
//
// Debugging: [Explain] turns any error of a call into one that names the
// endpoint and region and says what to do; [Check] does so before the first
// message. The SDK's request logs can be had by [WithOptions] and
// sqs.Options.ClientLogMode.
//
// Testing: give [WithHTTPClient] anything with a Do method.
package sqsclient

package chassistest

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"

	"github.com/aws/aws-sdk-go-v2/service/sqs"

	"github.com/sambatech/chassis/chassistest/effects"
	"github.com/sambatech/chassis/queue/localsqs"
	"github.com/sambatech/chassis/queue/sqsclient"
	"github.com/sambatech/chassis/task"
)

// rerunDoor knows the one task of a case on its way to the processes.
type rerunDoor struct {
	own string // its exec_id

	mu     sync.Mutex
	url    string // of the queue that it came from
	handle string // of its last delivery
}

// isOwn reports whether a task is that of the case. The first one that is sent is.
func (d *rerunDoor) isOwn(execID string) bool { return d.own == "" || execID == d.own }

// release ends the lease of the task at once, in place of the wait for its end.
func (d *rerunDoor) release(queue *localsqs.Server) {
	d.mu.Lock()
	url, handle := d.url, d.handle
	d.mu.Unlock()
	inProcess := sqsclient.WithHTTPClient(queue.HTTPClient())
	client, err := sqsclient.New(context.Background(), sqsclient.Settings{}, inProcess)
	if err == nil {
		// If it fails, the lease ends by itself.
		_, _ = client.ChangeMessageVisibility(context.Background(),
			&sqs.ChangeMessageVisibilityInput{QueueUrl: &url, ReceiptHandle: &handle})
	}
}

// rerunDoorOf is the way of one process to the queue. It lets no other task in than
// that of the case, and sees when the end of that task is on its way.
type rerunDoorOf struct {
	*rerunDoor
	recorder *effects.Recorder
	deadly   bool // the process dies when it deletes the task
	next     effects.Doer
	under    sync.RWMutex // read-locked by each request under way
}

// Do implements [effects.Doer].
func (d *rerunDoorOf) Do(r *http.Request) (*http.Response, error) {
	_, action, _ := strings.Cut(r.Header.Get("X-Amz-Target"), ".")
	var body []byte
	switch action {
	case "DeleteMessage", "DeleteMessageBatch", "ReceiveMessage":
		var err error
		if body, err = io.ReadAll(r.Body); err != nil {
			return nil, fmt.Errorf("chassistest: read a request to the queue: %w", err)
		}
		r.Body = io.NopCloser(bytes.NewReader(body))
	}
	if action != "ReceiveMessage" && d.ends(body) {
		d.recorder.EndTask()
		if d.deadly {
			d.recorder.Die()
			return nil, effects.ErrDied
		}
	}
	d.under.RLock()
	defer d.under.RUnlock()
	ctx, cancel := context.WithCancel(r.Context())
	defer cancel() // the answer is in memory
	go func() {
		select {
		case <-d.recorder.Dead(): // the long poll of a dead process brings it nothing
			cancel()
		case <-ctx.Done():
		}
	}()
	resp, err := d.next.Do(r.WithContext(ctx))
	if err != nil || action != "ReceiveMessage" || resp.StatusCode != http.StatusOK {
		return resp, err
	}
	return d.filter(body, resp)
}

// ends reports whether a request deletes the task of the case.
func (d *rerunDoorOf) ends(request []byte) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.handle != "" && bytes.Contains(request, []byte(`"`+d.handle+`"`))
}

// filter leaves the task of the case in an answer, and takes out all others. They stay
// on the queue, hidden from time to time.
func (d *rerunDoorOf) filter(request []byte, resp *http.Response) (*http.Response, error) {
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		return nil, err
	}
	var answer struct {
		Messages []json.RawMessage `json:",omitempty"`
	}
	if err := json.Unmarshal(body, &answer); err != nil {
		return nil, fmt.Errorf("chassistest: an answer of the queue: %w", err)
	}
	kept := answer.Messages[:0]
	for _, raw := range answer.Messages {
		var m struct {
			ReceiptHandle     string
			MessageAttributes map[string]struct{ StringValue string }
		}
		if err := json.Unmarshal(raw, &m); err != nil {
			return nil, fmt.Errorf("chassistest: a message of the queue: %w", err)
		}
		if m.MessageAttributes[task.AttrExecID].StringValue == d.own {
			kept = append(kept, raw)
			if err := d.delivered(request, m.ReceiptHandle); err != nil {
				return nil, err
			}
		}
	}
	if answer.Messages = kept; len(kept) == 0 {
		answer.Messages = nil
	}
	if body, err = json.Marshal(answer); err != nil {
		return nil, err
	}
	resp.Body, resp.ContentLength = io.NopCloser(bytes.NewReader(body)), int64(len(body))
	return resp, nil
}

// delivered notes the delivery of the task of the case.
func (d *rerunDoorOf) delivered(request []byte, handle string) error {
	var to struct {
		QueueURL string `json:"QueueUrl"`
	}
	if err := json.Unmarshal(request, &to); err != nil {
		return fmt.Errorf("chassistest: a request to the queue: %w", err)
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.url, d.handle = to.QueueURL, handle
	return nil
}

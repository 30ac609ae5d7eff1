package envelope_test

import (
	"bytes"
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/asynkron/protoactor-go/actor"
	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"

	"github.com/sambatech/chassis"
	"github.com/sambatech/chassis/actors/dispatcher"
	"github.com/sambatech/chassis/actors/poller"
	"github.com/sambatech/chassis/chassistest"
	"github.com/sambatech/chassis/task"
	"github.com/sambatech/chassis/task/envelope"
)

// payment has what must not be seen.
type payment struct {
	Card string `json:"card"`
	Note string `json:"note,omitempty"`
}

const card = "4111-1111-1111-1111"

var (
	charge = task.Define[payment]("charge", task.Encrypted(), task.MaxFailures(3), task.Wait(40*time.Minute, task.None),
		task.OnFail("refund"))
	refund = task.Define[payment]("refund", task.Encrypted())
)

// with is a service with an envelope.
func with(t *testing.T, cfg envelope.Config, opts ...chassistest.Option) *chassistest.System {
	t.Helper()
	env, err := envelope.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return chassistest.New(t, append(opts, chassistest.Options(chassis.WithEnvelope(env)))...)
}

func keys(t *testing.T, list ...envelope.Key) *envelope.KeyRing {
	t.Helper()
	r, err := envelope.NewKeyRing(list...)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

var k1 = envelope.Key{ID: "k1", Secret: bytes.Repeat([]byte{1}, 32)}

// seenOf fails the test if the queue or the log shows the card.
func seenOf(t *testing.T, sys *chassistest.System) {
	t.Helper()
	for _, r := range sys.Logs() {
		if text := fmt.Sprint(r); strings.Contains(text, card) {
			t.Errorf("the log shows the arguments: %s", text)
		}
	}
	for _, d := range sys.Dead() {
		if strings.Contains(d.Body+d.LastError, card) {
			t.Errorf("a dead letter shows the arguments: %s", d.Body)
		}
	}
}

// TestCopiesDeadLettersAndRedrivesCarryTheEnvelope: a task that fails with waits on the queue
// is copied, and its on_fail task has the same body. All of them open it.
func TestCopiesDeadLettersAndRedrivesCarryTheEnvelope(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sys := with(t, envelope.Config{Keys: keys(t, k1)})
		var got []string
		chassis.Handle(sys.System, charge, func(_ context.Context, job task.Job[payment]) error {
			got = append(got, "charge "+job.Args.Card)
			return errors.New("the gateway is down")
		})
		broken := true
		chassis.Handle(sys.System, refund, func(_ context.Context, job task.Job[payment]) error {
			got = append(got, "refund "+job.Args.Card)
			if broken {
				return task.Cancel(errors.New("not yet"))
			}
			return nil
		})
		id := chassistest.Send(sys, charge, payment{Card: card})
		sys.RunUntilIdle()
		sys.AssertAttempts(id, 3)
		dead := sys.Dead()
		if len(dead) != 1 || dead[0].Name != "refund" || !dead[0].IsSealed() || !strings.Contains(dead[0].Envelope, "k1") {
			t.Fatalf("the dead letters: %+v", dead)
		}
		seenOf(t, sys)
		broken = false
		for d, err := range sys.DeadLetters(t.Context()) {
			if err != nil {
				t.Fatal(err)
			}
			if args, err := d.Reveal(t.Context()); err != nil || args != `{"card": "`+card+`"}` {
				t.Errorf("revealed %q, error %v", args, err)
			}
			if err := d.SendBack(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
		sys.RunUntilIdle()
		sys.AssertNoneDead()
		want := strings.Repeat("charge "+card+",", 3) + strings.Repeat("refund "+card+",", 2)
		if all := strings.Join(got, ",") + ","; all != want {
			t.Errorf("ran with %s, want %s", all, want)
		}
	})
}

// TestAKeyThatIsMissingSpendsNothing: the task waits, becomes a dead letter after its time,
// and runs with its whole budget when the key is back.
func TestAKeyThatIsMissingSpendsNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		first := with(t, envelope.Config{Keys: keys(t, k1)})
		chassis.Handle(first.System, refund, func(context.Context, task.Job[payment]) error { return nil })
		sent := time.Now()
		id := chassistest.Send(first, refund, payment{Card: card}) // nothing runs it here: it is not started

		other := with(t, envelope.Config{Keys: keys(t, envelope.Key{ID: "k2", Secret: bytes.Repeat([]byte{2}, 32)})},
			chassistest.Beside(first))
		chassis.Handle(other.System, refund, func(context.Context, task.Job[payment]) error {
			t.Error("it ran without its key")
			return nil
		})
		other.RunUntilIdle()
		d := other.AssertDead(id, task.ReasonSealed)
		if waited := d.Sent.Sub(sent); waited < time.Hour || waited > 2*time.Hour {
			t.Errorf("it became a dead letter after %v", waited)
		}
		if d.Failures != 0 || !strings.Contains(d.LastError, `"k1"`) {
			t.Errorf("it has %d failures, %q", d.Failures, d.LastError)
		}
		seenOf(t, other)
		if err := other.Stop(t.Context()); err != nil {
			t.Fatal(err)
		}
		for d, err := range first.DeadLetters(t.Context()) {
			if err == nil {
				err = d.SendBack(t.Context())
			}
			if err != nil {
				t.Fatal(err)
			}
		}
		first.RunUntilIdle()
		first.AssertSucceeded(id)
		first.AssertNoneDead()
	})
}

// outage is a store that is away until a time.
type outage struct {
	envelope.Store
	until time.Time
}

func (o *outage) Get(ctx context.Context, name string, most int64) ([]byte, error) {
	if time.Now().Before(o.until) {
		return nil, errors.New("503 Slow Down")
	}
	return o.Store.Get(ctx, name, most)
}

// TestAStoreThatIsAwaySpendsNothing, however long that is.
func TestAStoreThatIsAwaySpendsNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		folder, err := envelope.NewFolder(t.TempDir())
		if err != nil {
			t.Fatal(err)
		}
		defer folder.Close()
		big := task.Define[payment]("big", task.ClaimChecked(), task.MaxFailures(1))
		sys := with(t, envelope.Config{Store: &outage{folder, time.Now().Add(3 * time.Hour)}})
		ran := 0
		chassis.Handle(sys.System, big, func(_ context.Context, job task.Job[payment]) error {
			if ran++; len(job.Args.Note) != 2<<20 {
				t.Errorf("%d bytes came", len(job.Args.Note))
			}
			return nil
		})
		id := chassistest.Send(sys, big, payment{Note: strings.Repeat("x", 2<<20)}) // twice what SQS takes
		sys.RunUntilIdle()
		sys.AssertSucceeded(id)
		if ran != 1 {
			t.Errorf("it ran %d times", ran)
		}
		sys.AssertLogged("WARN", "cannot be taken out of their envelope")
	})
}

// TestPlainArgumentsAndErrorsAboutThem: a task that takes only encrypted arguments refuses
// plain ones, and an error about arguments shows no value of encrypted ones.
func TestPlainArgumentsAndErrorsAboutThem(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sys := with(t, envelope.Config{Keys: keys(t, k1)})
		strict := task.Define[struct{ N int8 }]("strict", task.OnlyEncrypted())
		chassis.Handle(sys.System, strict, func(context.Context, task.Job[struct{ N int8 }]) error {
			t.Error("it ran")
			return nil
		})
		forged, err := task.Encode("strict", map[string]int{"N": 1}, time.Now(), task.Pool("test-tasks"))
		if err != nil {
			t.Fatal(err)
		}
		wrong := chassistest.Send(sys, task.Define[map[string]int]("strict", task.Encrypted()), map[string]int{"N": 31337})
		sender := poller.NewSender(sys.SQS(), poller.SenderEnsure(func(string) poller.EnsureOptions {
			return poller.EnsureOptions{Create: true}
		}))
		defer func() { _ = sender.Close(context.Background()) }()
		forged.Pool = sys.Pools()[0].Name()
		if _, err := sender.Send(t.Context(), *forged); err != nil {
			t.Fatal(err)
		}
		sys.RunUntilIdle()
		if d := sys.AssertDead(forged.ExecID, task.ReasonSealed); !strings.Contains(d.LastError, "plain text") {
			t.Errorf("the plain one: %s", d.LastError)
		}
		if d := sys.AssertDead(wrong, task.ReasonUndecodable); strings.Contains(d.LastError, "31337") ||
			!strings.Contains(d.LastError, "int8") {
			t.Errorf("the wrong one: %s", d.LastError)
		}
	})
}

// TestATaskActorGetsWhatIsInTheEnvelope, and is not spawned while that cannot be opened.
func TestATaskActorGetsWhatIsInTheEnvelope(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sys := with(t, envelope.Config{Keys: keys(t, k1)})
		var args string
		sys.Register("refund", actor.PropsFromFunc(func(c actor.Context) {
			if m, ok := c.Message().(*dispatcher.Execute); ok {
				args = string(m.Args)
				c.Respond(dispatcher.Done{})
			}
		}), task.Deadline(time.Minute))
		id := chassistest.Send(sys, refund, payment{Card: card})
		sys.RunUntilIdle()
		sys.AssertSucceeded(id)
		if args != `{"card": "`+card+`"}` {
			t.Errorf("it got %q", args)
		}
	})
}

// TestCopiesCarryAttributesOfNewerVersions, within the ten of SQS, and so do dead letters.
func TestCopiesCarryAttributesOfNewerVersions(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sys := chassistest.New(t)
		plain := task.Define[payment]("plain", task.MaxFailures(3), task.Wait(40*time.Minute, task.None))
		chassis.Handle(sys.System, plain, func(context.Context, task.Job[payment]) error { return errors.New("no") })
		opts := []task.Option{}
		for _, name := range []string{"a", "b", "c"} {
			opts = append(opts, task.Attribute(name, name))
		}
		out, err := plain.Encode(time.Now(), payment{}, opts...)
		if err != nil {
			t.Fatal(err)
		}
		out.Pool = sys.Pools()[0].Name()
		out.Attributes["chassis.flow"] = types.MessageAttributeValue{DataType: aws.String("String"), StringValue: aws.String("f1")}
		out.Attributes["chassis.bits"] = types.MessageAttributeValue{DataType: aws.String("Binary"), BinaryValue: []byte{0, 255}}
		sender := poller.NewSender(sys.SQS(), poller.SenderEnsure(func(string) poller.EnsureOptions {
			return poller.EnsureOptions{Create: true}
		}))
		defer func() { _ = sender.Close(context.Background()) }()
		if _, err := sender.Send(t.Context(), *out); err != nil {
			t.Fatal(err)
		}
		sys.RunUntilIdle()
		d := sys.AssertDead(out.ExecID, task.ReasonExhausted)
		again, defects := task.Decode(d.Body, d.Attributes())
		if len(d.Attributes()) > task.MaxAttributes || defects != nil {
			t.Fatalf("%d attributes, defects %v", len(d.Attributes()), defects)
		}
		if flow, bits := again.Newer["chassis.flow"], again.Newer["chassis.bits"]; aws.ToString(flow.StringValue) != "f1" ||
			!bytes.Equal(bits.BinaryValue, []byte{0, 255}) || len(again.Extra) != 3 {
			t.Errorf("the dead letter has %v and %v", again.Newer, again.Extra)
		}
		if r := again.Renewed(); len(r.Newer) != 2 {
			t.Errorf("sent back it has %v", r.Newer)
		}
	})
}

// TestAServiceWithoutAKeyDoesNotStart, and does not send as plain text what is to be encrypted.
func TestAServiceWithoutAKeyDoesNotStart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sys := chassistest.New(t)
		if _, err := chassis.Send(t.Context(), sys.System, charge, payment{Card: card}, task.Pool("elsewhere")); err == nil ||
			!strings.Contains(err.Error(), "tasks.key_file") || strings.Contains(err.Error(), card) {
			t.Errorf("send: %v", err)
		}
		chassis.Handle(sys.System, refund, func(context.Context, task.Job[payment]) error { return nil })
		if err := sys.Start(t.Context()); err == nil || !strings.Contains(err.Error(), "tasks.key_file") {
			t.Errorf("start: %v", err)
		}
		if _, err := charge.Encode(time.Now(), payment{Card: card}); !errors.Is(err, task.ErrNoSealer) {
			t.Errorf("encode: %v", err)
		}
	})
}

// TestSettingsOfAPoolEncryptAllOfIt without a word in the code.
func TestSettingsOfAPoolEncryptAllOfIt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		file := t.TempDir() + "/keys"
		writeKeys(t, file)
		sys := chassistest.New(t, chassistest.Settings(func(s *chassis.Settings) {
			s.Tasks.KeyFile, s.Tasks.EncryptArguments = file, true
		}))
		plain := task.Define[payment]("plain", task.MaxFailures(1))
		chassis.Handle(sys.System, plain, func(_ context.Context, job task.Job[payment]) error {
			return errors.New("card has " + job.Args.Card[:4])
		})
		id := chassistest.Send(sys, plain, payment{Card: card})
		sys.RunUntilIdle()
		if d := sys.AssertDead(id, task.ReasonExhausted); !d.IsSealed() || !strings.HasSuffix(d.LastError, "4111") {
			t.Errorf("the body is %s, the error %s", d.Body, d.LastError)
		}
	})
}

func writeKeys(t *testing.T, file string) {
	t.Helper()
	line := "2026-11 " + base64.StdEncoding.EncodeToString(k1.Secret) + "\n"
	if err := os.WriteFile(file, []byte(line), 0o600); err != nil {
		t.Fatal(err)
	}
}

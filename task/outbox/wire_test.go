package outbox

import (
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/sqs/types"
	"pgregory.net/rapid"

	"github.com/sambatech/chassis/task"
)

// A message comes back from its column as it was sent, whatever its text is, and the
// column is ASCII.
func TestAMessageComesBackFromItsRow(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		out, err := task.Encode("welcome", rapid.String().Draw(t, "args"), time.Now(),
			task.Group(rapid.StringMatching(`[a-z]{0,5}`).Draw(t, "group")),
			task.Delay(time.Duration(rapid.IntRange(0, 900).Draw(t, "delay"))*time.Second),
			task.Attribute("note", rapid.StringN(1, 20, -1).Draw(t, "note")+"x"), task.ForJob("é 😀", "sign-up"))
		if err != nil {
			t.Fatal(err)
		}
		number := "Number.int"
		out.Attributes["n"] = types.MessageAttributeValue{DataType: &number, StringValue: new(string)}
		binary := "Binary"
		out.Attributes["b"] = types.MessageAttributeValue{DataType: &binary, BinaryValue: []byte{0, 255}}
		out.TraceHeader = "Root=1-5759e988-bd862e3fe1be46a994272793"
		text, err := write(out)
		if err != nil {
			t.Fatal(err)
		}
		if i := strings.IndexFunc(text, func(r rune) bool { return r < ' ' || r > '~' }); i >= 0 {
			t.Fatalf("the column holds %q", text[i:])
		}
		back, err := (&row{task: out.Name, execID: out.ExecID, message: text}).read()
		if err != nil {
			t.Fatal(err)
		}
		back.When = out.When // it is in the attributes
		if !reflect.DeepEqual(back, *out) {
			t.Fatalf("came back as %+v, was %+v", back, *out)
		}
	})
}

func TestAColumnThatCannotBeReadIsAnError(t *testing.T) {
	for _, text := range []string{"", "{", `{"body": 1}`, "null garbage"} {
		if _, err := (&row{message: text}).read(); err == nil {
			t.Errorf("%q was read", text)
		}
	}
}

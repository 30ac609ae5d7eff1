package chassis_test

import (
	"testing"

	"go.uber.org/goleak"

	"github.com/sambatech/chassis/internal/systemtest/kit"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

type greeting = kit.Greeting

var newSystem = kit.NewSystem

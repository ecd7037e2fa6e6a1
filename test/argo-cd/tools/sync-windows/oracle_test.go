// Package syncwindows asks Argo CD's own functions whether its sync windows let an application be synchronized.
//
// They read the clock themselves, so each case runs in a bubble of testing/synctest, whose clock stands at the asked instant to the
// nanosecond: hence a test that is compiled, reads JSON from its standard input and writes JSON to its standard output.
package syncwindows

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"runtime/debug"
	"slices"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"
	// For a machine without time zones of its own.
	_ "time/tzdata"

	"github.com/argoproj/argo-cd/v3/pkg/apis/application/v1alpha1"
	"github.com/sirupsen/logrus"
)

type question struct {
	// Windows as in an AppProject.
	Windows v1alpha1.SyncWindows `json:"windows"`
	App     struct {
		Name        string `json:"name"`
		Namespace   string `json:"namespace"`
		Server      string `json:"server"`
		ClusterName string `json:"clusterName"`
	} `json:"app"`
	At struct {
		From        time.Time `json:"from"`
		StepSeconds int       `json:"stepSeconds"`
		Count       int       `json:"count"`
	} `json:"at"`
	// Active asks for each window by itself too.
	Active bool `json:"active"`
}

type answer struct {
	// Auto and Manual have a digit per instant: 1 where a synchronization is allowed.
	Auto   string `json:"auto"`
	Manual string `json:"manual"`
	// Matches has the indices of the windows that are the application's.
	Matches []int `json:"matches"`
	// Active has for each window a digit per instant.
	Active []string `json:"active,omitempty"`
	// Validate has for each window what Argo CD's API and CLI refuse it for: empty where they take it.
	Validate []string `json:"validate"`
	// Error is why Argo CD can tell nothing; it then allows nothing.
	Error string `json:"error,omitempty"`
}

var answers = os.Stdout

func TestMain(m *testing.M) {
	// Where the framework writes its verdict.
	os.Stdout = os.Stderr
	// A time zone that is not known is warned of at each evaluation.
	logrus.SetOutput(io.Discard)
	// Each evaluation reads its time zone's file anew: most of the time would go into collecting them.
	debug.SetGCPercent(1000)
	os.Exit(m.Run())
}

func TestOracle(t *testing.T) {
	decoder := json.NewDecoder(os.Stdin)
	decoder.DisallowUnknownFields()
	var questions []question
	if err := decoder.Decode(&questions); err != nil {
		t.Fatal(err)
	}
	found := make([]answer, len(questions))
	t.Run("cases", func(t *testing.T) {
		for i, question := range questions {
			t.Run(strconv.Itoa(i), func(t *testing.T) {
				t.Parallel()
				synctest.Test(t, func(t *testing.T) {
					var err error
					if found[i], err = ask(question); err != nil {
						t.Fatal(err)
					}
				})
			})
		}
	})
	if t.Failed() {
		return
	}
	if err := json.NewEncoder(answers).Encode(found); err != nil {
		t.Fatal(err)
	}
}

func ask(question question) (answer, error) {
	found := answer{Matches: []int{}, Validate: []string{}}
	for _, window := range question.Windows {
		// It sets the time zone.
		window := *window
		text := ""
		if err := window.Validate(); err != nil {
			text = err.Error()
		}
		found.Validate = append(found.Validate, text)
	}
	app := &v1alpha1.Application{}
	app.Name = question.App.Name
	app.Spec.Destination = v1alpha1.ApplicationDestination{
		Namespace: question.App.Namespace,
		Server:    question.App.Server,
		Name:      question.App.ClusterName,
	}
	matching := question.Windows.Matches(app)
	for i, window := range question.Windows {
		if matching.HasWindows() && slices.Contains(*matching, window) {
			found.Matches = append(found.Matches, i)
		}
	}
	if question.At.From.Before(time.Now()) {
		return found, fmt.Errorf("%s is before the bubble's clock, which begins at %s", question.At.From, time.Now())
	}
	auto, manual := strings.Builder{}, strings.Builder{}
	active := make([]strings.Builder, len(question.Windows))
	for i := range question.At.Count {
		time.Sleep(time.Until(question.At.From.Add(time.Duration(i*question.At.StepSeconds) * time.Second)))
		for isManual, digits := range map[bool]*strings.Builder{false: &auto, true: &manual} {
			if err := note(digits, func() (bool, error) { return matching.CanSync(isManual, nil) }); err != nil {
				found.Error = err.Error()
				return found, nil
			}
		}
		if !question.Active {
			continue
		}
		for i, window := range question.Windows {
			if err := note(&active[i], window.Active); err != nil {
				found.Error = err.Error()
				return found, nil
			}
		}
	}
	found.Auto, found.Manual = auto.String(), manual.String()
	if question.Active {
		for i := range active {
			found.Active = append(found.Active, active[i].String())
		}
	}
	return found, nil
}

func note(digits *strings.Builder, ask func() (bool, error)) error {
	yes, err := ask()
	if err != nil {
		return err
	}
	if yes {
		digits.WriteByte('1')
	} else {
		digits.WriteByte('0')
	}
	return nil
}

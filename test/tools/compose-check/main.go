// Reads compose files as `docker compose` does, and says what is wrong with them.
package main

import (
	"context"
	"fmt"
	"os"

	"github.com/compose-spec/compose-go/v2/cli"
	"github.com/compose-spec/compose-go/v2/interpolation"
	"github.com/compose-spec/compose-go/v2/loader"
)

func main() {
	failed := false
	for _, file := range os.Args[1:] {
		if err := check(file); err != nil {
			fmt.Fprintf(os.Stderr, "%s: %v\n", file, err)
			failed = true
		}
	}
	if failed {
		os.Exit(1)
	}
}

func check(file string) error {
	// The files refuse a variable that is not set: here each has a value.
	everySet := func(options *loader.Options) {
		options.Interpolate = &interpolation.Options{
			LookupValue: func(string) (string, bool) { return "set", true },
		}
	}
	options, err := cli.NewProjectOptions([]string{file}, cli.WithLoadOptions(everySet))
	if err != nil {
		return err
	}
	_, err = options.LoadProject(context.Background())
	return err
}

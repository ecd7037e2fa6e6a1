// Says which tag Argo CD Image Updater's strategy `semver` would take: JSON from standard input, JSON to standard output.
//
// Its own packages are not to be had as a Go module. So this is its rule in other words, with the library that it uses, in the version
// that it uses: of argocd-image-updater 1.3.0 and its registry-scanner, ContainerImage.ParseMatch with MatchFuncRegexp (which tags
// are allowed), ImageTagList.SortBySemVer (their order) and ContainerImage.GetNewestVersionFromTags (which of them the constraint takes).
package main

import (
	"encoding/json"
	"log"
	"os"
	"regexp"
	"slices"
	"strings"

	"github.com/Masterminds/semver/v3"
)

type question struct {
	Constraint string   `json:"constraint"`
	AllowTags  string   `json:"allowTags"`
	Tags       []string `json:"tags"`
}

type answer struct {
	// Candidates go from the oldest to the newest.
	Candidates []string `json:"candidates"`
	Newest     string   `json:"newest,omitempty"`
	// Error is a constraint that cannot be read: it then takes nothing.
	Error string `json:"error,omitempty"`
}

func ask(question question) answer {
	found := answer{Candidates: []string{}}
	var versions []*semver.Version
	allowed := allowed(question.AllowTags)
	for _, tag := range question.Tags {
		if version, err := semver.NewVersion(tag); err == nil && allowed(tag) {
			versions = append(versions, version)
		}
	}
	// It does not look at the constraint where there is nothing to take.
	if len(versions) == 0 {
		return found
	}
	slices.SortFunc(versions, func(a, b *semver.Version) int {
		if order := a.Compare(b); order != 0 {
			return order
		}
		return strings.Compare(a.Original(), b.Original())
	})
	versions = slices.CompactFunc(versions, func(a, b *semver.Version) bool { return a.Original() == b.Original() })
	if question.Constraint == "" {
		question.Constraint = "*"
	}
	constraint, err := semver.NewConstraint(question.Constraint)
	if err != nil {
		found.Error = err.Error()
		return found
	}
	for _, version := range versions {
		if constraint.Check(version) {
			found.Candidates = append(found.Candidates, version.Original())
			found.Newest = version.Original()
		}
	}
	return found
}

// allowed reads `any` and `regexp:...`; nothing is allowed by what it cannot read.
func allowed(text string) func(tag string) bool {
	kind, expression, _ := strings.Cut(text, ":")
	if text == "" || strings.ToLower(text) == "any" {
		return func(string) bool { return true }
	}
	pattern, err := regexp.Compile(expression)
	if strings.ToLower(kind) != "regexp" || !strings.Contains(text, ":") || err != nil {
		return func(string) bool { return false }
	}
	return pattern.MatchString
}

func main() {
	var questions []question
	decoder := json.NewDecoder(os.Stdin)
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&questions); err != nil {
		log.Fatal(err)
	}
	answers := make([]answer, len(questions))
	for i, question := range questions {
		answers[i] = ask(question)
	}
	if err := json.NewEncoder(os.Stdout).Encode(answers); err != nil {
		log.Fatal(err)
	}
}

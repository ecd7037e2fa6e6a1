// Package io is for commands, of which nothing here runs one.
package io

const TempDir = ""

// rclone as its image has it, with the one backend and the commands that the backup uses: all of it would take an hour to build.
package main

import (
	_ "github.com/rclone/rclone/backend/googlecloudstorage"
	"github.com/rclone/rclone/cmd"
	_ "github.com/rclone/rclone/cmd/cat"
	_ "github.com/rclone/rclone/cmd/lsf"
	_ "github.com/rclone/rclone/cmd/rcat"
)

func main() { cmd.Main() }

#!/bin/bash
. "$(dirname "$0")/env.sh"
stop_server

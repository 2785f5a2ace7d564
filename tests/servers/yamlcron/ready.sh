#!/bin/bash
. "$(dirname "$0")/env.sh"
answers "http://127.0.0.1:$PORT/"

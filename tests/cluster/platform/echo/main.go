// A program for the tests of the cluster itself: serves its own name, eats memory, resolves names, writes and reads.
package main

import (
	"fmt"
	"net"
	"net/http"
	"os"
	"strconv"
)

func main() {
	switch verb, argument := os.Args[1], os.Args[len(os.Args)-1]; verb {
	case "serve":
		host, _ := os.Hostname()
		answer := func(w http.ResponseWriter, r *http.Request) { fmt.Fprintf(w, "echo from %s\n", host) }
		fmt.Println("serving")
		fmt.Println(http.ListenAndServe(":8080", http.HandlerFunc(answer)))
	case "eat":
		mebibytes, _ := strconv.Atoi(argument)
		eaten := make([]byte, mebibytes<<20)
		for place := 0; place < len(eaten); place += 4096 {
			eaten[place] = 1
		}
		fmt.Println("ate", len(eaten)>>20)
	case "write":
		if err := os.WriteFile(argument, []byte("written"), 0o644); err != nil {
			fmt.Println(err)
			os.Exit(1)
		}
	case "read":
		content, err := os.ReadFile(argument)
		if err != nil {
			fmt.Println(err)
			os.Exit(1)
		}
		fmt.Println(string(content))
	case "resolve":
		addresses, err := net.LookupHost(argument)
		if err != nil {
			fmt.Println(err)
			os.Exit(1)
		}
		fmt.Println(addresses[0])
	}
}

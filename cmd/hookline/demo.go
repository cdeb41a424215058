package main

type demoCommand struct{}

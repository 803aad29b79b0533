fn main() -> std::process::ExitCode {
    sendoff::run(std::env::args_os())
}

// Around the whole page: what nobody foresaw is said, and leaves no white screen.
import { Component, type ReactNode } from "react";

import { Button } from "./button";

export class Boundary extends Component<{ children: ReactNode }, { isBroken: boolean }> {
  override state = { isBroken: false };

  static getDerivedStateFromError() {
    return { isBroken: true };
  }

  override render() {
    if (!this.state.isBroken) return this.props.children;
    return (
      <main role="alert" className="mx-auto flex max-w-[1392px] items-center gap-3 px-4 py-8">
        The page made a mistake, and shows nothing rather than what may be wrong.
        <Button onClick={() => location.reload()}>Load it anew</Button>
      </main>
    );
  }
}

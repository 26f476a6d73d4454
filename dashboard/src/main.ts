import { mount } from 'svelte';
import 'uplot/dist/uPlot.min.css';
import './styles/base.css';
import { WrongAddress, serviceAddress, setAddress } from './api/address';
import { Api } from './api/api';
import { Key, tabStorage } from './api/key';
import { AccessStore } from './store/access';
import App from './views/App.svelte';
import Wrong from './views/shell/WrongAddress.svelte';

const target = document.getElementById('app');
if (!target) throw new Error('the page has no element #app');
try {
  const address = serviceAddress(new URL(location.href), setAddress());
  const access = new AccessStore(new Api(address, new Key(address, tabStorage())));
  mount(App, { target, props: { access } });
} catch (error) {
  if (!(error instanceof WrongAddress)) throw error;
  mount(Wrong, { target, props: { wrong: error } });
}
